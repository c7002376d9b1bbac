namespace PureQLora.Kernels.Simulation;

/// <summary>How warps have accessed memory.</summary>
/// <param name="Requests">Instructions of warps.</param>
/// <param name="Transactions">
/// What the memory had to do for them: sectors of 32 bytes of global memory, rounds of the 32 banks of shared memory.
/// </param>
/// <param name="Ideal">What it would have had to do at best, for the same bytes.</param>
public readonly record struct AccessCounters(long Requests, long Transactions, long Ideal)
{
    /// <summary>Transactions that a better layout would save; of shared memory these are its bank conflicts.</summary>
    public long Excess => Transactions - Ideal;

    /// <summary>Both together.</summary>
    public static AccessCounters operator +(AccessCounters left, AccessCounters right) => Add(left, right);

    /// <summary>Both together.</summary>
    public static AccessCounters Add(AccessCounters left, AccessCounters right) =>
        new(left.Requests + right.Requests, left.Transactions + right.Transactions, left.Ideal + right.Ideal);
}
