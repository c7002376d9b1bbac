using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Trains every weight of a model; they are stored in one safetensors file, float32, under the names that checkpoints use.</summary>
/// <param name="model">Made trainable (<see cref="LlamaModel.MakeTrainable"/>).</param>
public sealed class FullWeights(LlamaModel model) : TrainedWeights
{
    private const string FileName = "model.safetensors";

    /// <inheritdoc/>
    /// <exception cref="UserErrorException">The disk is full or the place cannot be written.</exception>
    public override void Save(string folder) => SafetensorsWriter.Write(
        Path.Combine(folder, FileName), model.TrainableParameters.Select(parameter => (parameter.Name, parameter.Value)));

    /// <inheritdoc/>
    /// <exception cref="UserErrorException">The file is damaged, or its tensors are not those of the model.</exception>
    public override void Load(string folder)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, FileName));
        IReadOnlyList<NamedParameter> parameters = model.TrainableParameters;
        if (file.Names.Count != parameters.Count)
        {
            throw new UserErrorException($"{file.Path} has {file.Names.Count} tensors, the model trains {parameters.Count}; resume with the recipe it was made with.");
        }

        foreach (NamedParameter parameter in parameters)
        {
            if (!file.Contains(parameter.Name) || file.Info(parameter.Name).Count != parameter.Value.Shape.Count)
            {
                throw new UserErrorException($"{file.Path} has no {parameter.Name} of {parameter.Value.Shape}; resume with the recipe it was made with.");
            }

            file.CheckFinite(parameter.Name);
            parameter.Value.CopyFrom(file.ReadFloats(parameter.Name));
        }
    }
}
