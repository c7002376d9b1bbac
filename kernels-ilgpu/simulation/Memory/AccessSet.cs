using System.Numerics;

namespace PureQLora.Kernels.Simulation.Memory;

/// <summary>
/// The accesses of one kind to one cell of memory that nothing orders before the present one: what it takes to decide exactly whether an
/// access races with any of them.
/// </summary>
/// <remarks>
/// A group's barrier orders everything before it in the group, so only the present epoch counts, as a set of warps. Of the last warp the
/// lanes are kept, since its previous barrier of its own. If two warps are in the set, every access races with one of them, and the lanes do
/// not matter. An access of an earlier group of the launch is never ordered; one is enough.
/// </remarks>
internal struct AccessSet
{
    private int _serial;
    private int _epoch;
    private int _warpEpoch;
    private uint _warps;
    private uint _lanes;
    private int _lastThread;
    private int _lastSite;
    private int _earlierSerial;
    private int _earlierThread;
    private int _earlierSite;

    /// <summary>An access of the set that nothing orders before the given one.</summary>
    public readonly Conflict Find(in Accessor by)
    {
        if (_serial != by.Serial)
        {
            return _serial >= by.FirstSerial ? new(_serial, _lastThread, _lastSite) : default;
        }

        if (_earlierSerial >= by.FirstSerial)
        {
            return new(_earlierSerial, _earlierThread, _earlierSite);
        }

        if (_epoch != by.Epoch)
        {
            return default;
        }

        uint otherWarps = _warps & ~by.WarpBit;
        if (otherWarps != 0)
        {
            int warp = _lastThread >> 5;
            bool lastIsOther = warp != by.Warp;
            return new(_serial, lastIsOther ? _lastThread : BitOperations.TrailingZeroCount(otherWarps) << 5, _lastSite, KnowsLane: lastIsOther);
        }

        uint otherLanes = _warps != 0 && _warpEpoch == by.WarpEpoch ? _lanes & ~by.LaneBit : 0;
        return otherLanes != 0 ? new(_serial, (by.Warp << 5) + BitOperations.TrailingZeroCount(otherLanes), _lastSite) : default;
    }

    /// <summary>Adds an access.</summary>
    public void Add(in Accessor by)
    {
        if (_serial != by.Serial)
        {
            if (_serial >= by.FirstSerial)
            {
                (_earlierSerial, _earlierThread, _earlierSite) = (_serial, _lastThread, _lastSite);
            }

            (_serial, _epoch, _warps) = (by.Serial, by.Epoch, 0);
        }
        else if (_epoch != by.Epoch)
        {
            (_epoch, _warps) = (by.Epoch, 0);
        }

        if (_warps == 0 || (_lastThread >> 5) != by.Warp || _warpEpoch != by.WarpEpoch)
        {
            (_warpEpoch, _lanes) = (by.WarpEpoch, 0);
        }

        _warps |= by.WarpBit;
        _lanes |= by.LaneBit;
        (_lastThread, _lastSite) = (by.Thread, by.Site);
    }
}
