using PureQLora.Kernels.Simulation.Engine;

namespace PureQLora.Kernels.Simulation.Counting;

/// <summary>What a launch has done to memory, and how often its threads met.</summary>
internal sealed class LaunchCounters
{
    private readonly Dictionary<(int Site, MemorySpace Space, bool IsStore), AccessCounters> _sites = [];
    private readonly long[] _meetings = new long[(int)MeetingKind.Exchange + 1];

    /// <summary>Atomic operations of single threads, on global memory.</summary>
    public long GlobalAtomics { get; private set; }

    /// <summary>Atomic operations of single threads, on shared memory.</summary>
    public long SharedAtomics { get; private set; }

    /// <summary>Barriers of whole groups, whatever their kind.</summary>
    public long GroupBarriers => _meetings.AsSpan((int)MeetingKind.Barrier, MeetingKind.WarpBarrier - MeetingKind.Barrier).ToArray().Sum();

    /// <summary>Barriers of warps.</summary>
    public long WarpBarriers => _meetings[(int)MeetingKind.WarpBarrier];

    /// <summary>Shuffles of warps, whatever their kind.</summary>
    public long Shuffles => _meetings.AsSpan((int)MeetingKind.Shuffle).ToArray().Sum();

    /// <summary>The counts at every place in the source.</summary>
    public IReadOnlyDictionary<(int Site, MemorySpace Space, bool IsStore), AccessCounters> Sites => _sites;

    /// <summary>Counts a meeting.</summary>
    public void CountMeeting(MeetingKind kind) => _meetings[(int)kind]++;

    /// <summary>Counts an atomic operation.</summary>
    public void CountAtomic(MemorySpace space)
    {
        GlobalAtomics += space == MemorySpace.Global ? 1 : 0;
        SharedAtomics += space == MemorySpace.Shared ? 1 : 0;
    }

    /// <summary>What an instruction of a warp costs.</summary>
    /// <param name="stream">What it does.</param>
    /// <param name="offsets">Of every lane the byte, -1 for none.</param>
    public static AccessCounters Count(in AccessStream stream, ReadOnlySpan<int> offsets)
    {
        (int transactions, int ideal) = stream.Region.Space == MemorySpace.Global
            ? Coalescing.Sectors(offsets, stream.Size)
            : BankConflicts.Wavefronts(offsets, stream.Size);
        return new AccessCounters(1, transactions, ideal);
    }

    /// <summary>Adds what was counted.</summary>
    public void Add(in AccessStream stream, AccessCounters counters)
    {
        var key = (stream.Site, stream.Region.Space, stream.IsStore);
        _sites[key] = _sites.GetValueOrDefault(key) + counters;
    }
}
