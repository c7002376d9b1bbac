namespace PureQLora.Training;

/// <summary>
/// The endless order in which samples are trained on: pass after pass, each shuffled anew from the seed and the number of the pass.
/// The order depends on seed and position only, so a resumed run goes on exactly where the first one stopped.
/// </summary>
public sealed class SampleOrder
{
    private readonly ulong _seed;
    private readonly bool _shuffle;
    private readonly int[] _order;
    private DataPosition _position;

    /// <summary>Starts, or goes on from a stored position.</summary>
    /// <param name="count">Number of samples, at least 1.</param>
    /// <param name="seed">Seed of the shuffles.</param>
    /// <param name="shuffle">Off: every pass is 0, 1, 2, …</param>
    /// <param name="position">Where to go on.</param>
    /// <exception cref="ArgumentOutOfRangeException">The position lies outside the data.</exception>
    public SampleOrder(int count, ulong seed, bool shuffle = true, DataPosition position = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(position.Epoch);
        ArgumentOutOfRangeException.ThrowIfNegative(position.Index);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position.Index, count);
        (_seed, _shuffle, _order, _position) = (seed, shuffle, new int[count], position);
        Arrange();
    }

    /// <summary>Number of samples of a pass.</summary>
    public int Count => _order.Length;

    /// <summary>The position to store: what has been taken so far.</summary>
    public DataPosition Position => _position;

    /// <summary>Takes the next sample's index.</summary>
    public int Next()
    {
        if (_position.Index == _order.Length)
        {
            _position = new(_position.Epoch + 1, 0);
            Arrange();
        }

        int sample = _order[_position.Index];
        _position = _position with { Index = _position.Index + 1 };
        return sample;
    }

    private void Arrange()
    {
        for (int i = 0; i < _order.Length; i++)
        {
            _order[i] = i;
        }

        if (_shuffle)
        {
            SplitMix64.ForStream(_seed, (ulong)_position.Epoch).Shuffle(_order);
        }
    }
}
