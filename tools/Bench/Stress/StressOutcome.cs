namespace PureQLora.Tools.Bench;

/// <summary>What a unit of work gave, as text of its bits.</summary>
/// <param name="Lines">The same number of lines however far it came; each is empty at first and only grows.</param>
/// <param name="Interrupted">A cancellation reached it.</param>
/// <param name="Complete">It came to its end all the same, or was resumed to it.</param>
internal sealed record StressOutcome(string[] Lines, bool Interrupted, bool Complete)
{
    /// <summary>Whether the reference says the same; a cancelled unit must have come to a beginning of every line.</summary>
    public bool Agrees(string[] reference) => Lines.Length == reference.Length && Lines.Zip(reference).All(pair =>
        Complete ? pair.First == pair.Second : pair.Second.StartsWith(pair.First, StringComparison.Ordinal));
}
