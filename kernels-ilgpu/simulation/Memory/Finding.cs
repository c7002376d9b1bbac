namespace PureQLora.Kernels.Simulation.Memory;

/// <summary>What is wrong with an access; the default value is nothing.</summary>
/// <param name="Race">The access that it races with.</param>
/// <param name="RaceKind">What that one did.</param>
/// <param name="IsUnwritten">Whether it reads what nobody has written.</param>
/// <param name="IsPending">Whether an asynchronous copy is about to write it.</param>
internal readonly record struct Finding(Conflict Race, AccessKind RaceKind, bool IsUnwritten = false, bool IsPending = false)
{
    public bool IsFault => Race.IsFound || IsUnwritten;

    public static Finding Of(Conflict race, AccessKind kind) => race.IsFound ? new(race, kind) : default;

    /// <summary>This one if it is a race, else the other.</summary>
    public Finding Or(Conflict race, AccessKind kind) => Race.IsFound ? this : Of(race, kind);
}
