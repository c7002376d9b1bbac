using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The tensors that a quantised layer consists of, held against what its settings ask for.</summary>
/// <param name="checkpoint">Where they are.</param>
internal sealed class LayerTensors(HuggingFaceCheckpoint checkpoint)
{
    /// <summary>Names that were required, each found in order.</summary>
    public List<string> Names { get; } = [];

    /// <summary>A tensor that must be there, in that shape and one of the types.</summary>
    /// <exception cref="UserErrorException">It is not.</exception>
    public void Require(string name, long[] shape, params SafetensorsType[] types)
    {
        string wanted = $"{string.Join(" or ", types.Select(type => type.ToName()))}[{string.Join(", ", shape)}]";
        if (!checkpoint.Contains(name))
        {
            throw new UserErrorException($"{checkpoint.Folder}: the tensor \"{name}\" is missing, the quantisation settings ask for {wanted}; the checkpoint is incomplete or of another kind.");
        }

        SafetensorsInfo info = checkpoint.Info(name);
        if (!info.Shape.SequenceEqual(shape) || !types.Contains(info.Type))
        {
            throw new UserErrorException(
                $"{checkpoint.FileOf(name).Path}: tensor \"{name}\" is {info.Type.ToName()}[{string.Join(", ", info.Shape)}], the quantisation settings ask for {wanted}; bits or group size in the settings are wrong, or the file is damaged.");
        }

        Names.Add(name);
    }
}
