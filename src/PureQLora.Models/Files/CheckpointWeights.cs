using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The weights of a checkpoint folder, mapped where they are dense, unpacked where they are quantised.</summary>
/// <param name="checkpoint">Owned: closed with this source.</param>
public sealed class CheckpointWeights(HuggingFaceCheckpoint checkpoint) : IWeightSource, IDisposable
{
    /// <inheritdoc/>
    public Tensor Tensor(string name) => checkpoint.Get(name);

    /// <inheritdoc/>
    public Tensor Vector(string name) => checkpoint.GetFloat32Copy(name);

    /// <inheritdoc/>
    public WeightMatrix Weight(string module) => checkpoint.GetWeight(module);

    /// <summary>Closes the files; weights already taken stay valid.</summary>
    public void Dispose() => checkpoint.Dispose();
}
