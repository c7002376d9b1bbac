using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Cosines and sines of a model, made for as many positions as have been needed so far.</summary>
internal sealed class RotaryTableCache(LlamaConfig config)
{
    private const long FirstSize = 512;
    private RotaryTable? _table;

    /// <summary>A table of at least so many positions.</summary>
    public RotaryTable AtLeast(long positions)
    {
        if (_table is null || _table.Positions < positions)
        {
            (double[] frequencies, double attentionFactor) = RotaryFrequencies.Compute(config);
            long size = Math.Max(FirstSize, (long)System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)positions));
            _table = new RotaryTable(frequencies, attentionFactor, size);
        }

        return _table;
    }
}
