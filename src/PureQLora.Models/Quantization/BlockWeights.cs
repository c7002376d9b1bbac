using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The weights that a block's linear layers have had before they are quantised, to compute with them again.</summary>
/// <param name="block">Not yet quantised.</param>
internal sealed class BlockWeights(DecoderBlock block)
{
    private readonly LinearLayer[] _layers = [.. block.Linears];
    private readonly WeightMatrix[] _others = [.. block.Linears.Select(layer => layer.Weight)];

    /// <summary>Puts the former weights into the layers and keeps the present ones, or the reverse.</summary>
    public void Exchange()
    {
        for (int i = 0; i < _layers.Length; i++)
        {
            WeightMatrix present = _layers[i].Weight;
            _layers[i].ReplaceWeight(_others[i]);
            _others[i] = present;
        }
    }

    /// <summary>Lets go of the mapped pages of the former weights.</summary>
    public void Release()
    {
        foreach (WeightMatrix weight in _others)
        {
            if (weight.Dense is not null)
            {
                MappedFile.ReleasePages(weight.Dense);
            }
        }
    }
}
