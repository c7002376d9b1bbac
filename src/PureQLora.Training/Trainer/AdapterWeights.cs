using System.Runtime.InteropServices;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Trains the adapters of a model; they are stored as a PEFT folder.</summary>
/// <param name="model">With adapters injected or loaded.</param>
/// <param name="config">Their settings.</param>
public sealed class AdapterWeights(LlamaModel model, LoraConfig config) : TrainedWeights
{
    /// <inheritdoc/>
    /// <exception cref="UserErrorException">The disk is full or the place cannot be written.</exception>
    public override void Save(string folder) => PeftCheckpoint.Write(folder, LoraInjection.Extract(model, config));

    /// <inheritdoc/>
    /// <remarks>The bits are copied into the tensors that are there, so that whoever holds them goes on seeing the adapter.</remarks>
    /// <exception cref="UserErrorException">The folder is damaged or holds another adapter.</exception>
    public override void Load(string folder)
    {
        IReadOnlyDictionary<string, Tensor> stored = Read(folder);
        foreach ((string name, Tensor tensor) in LoraInjection.Extract(model, config).Tensors)
        {
            tensor.CopyFrom(stored[name].Floats);
        }
    }

    /// <summary>Whether a folder holds exactly the bits of the model's adapters.</summary>
    /// <exception cref="UserErrorException">The folder is damaged or holds another adapter.</exception>
    public bool Equal(string folder)
    {
        IReadOnlyDictionary<string, Tensor> stored = Read(folder);
        return LoraInjection.Extract(model, config).Tensors.All(pair =>
            MemoryMarshal.AsBytes(stored[pair.Key].Floats).SequenceEqual(MemoryMarshal.AsBytes(pair.Value.ToArray().AsSpan())));
    }

    private IReadOnlyDictionary<string, Tensor> Read(string folder)
    {
        PeftAdapter stored = PeftCheckpoint.Read(folder, LlamaTensorNames.LinearLayers(model.Config));
        PeftAdapter present = LoraInjection.Extract(model, config);
        return present.Tensors.Count == stored.Tensors.Count && present.Tensors.All(pair => stored.Tensors.TryGetValue(pair.Key, out Tensor? tensor) && tensor.Shape == pair.Value.Shape)
            ? stored.Tensors
            : throw new UserErrorException($"The adapter in {folder} has other layers or ranks than this run; resume with the recipe it was made with.");
    }
}
