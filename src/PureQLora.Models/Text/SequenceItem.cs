namespace PureQLora.Models;

/// <summary>A character of a set, repeated as often as possible: <c>[set]{Minimum,Maximum}</c>.</summary>
/// <param name="Set">What is matched.</param>
/// <param name="Minimum">Fewest repetitions.</param>
/// <param name="Maximum">Most repetitions; <see cref="int.MaxValue"/> where there is no bound.</param>
internal sealed record SequenceItem(CharacterSet Set, int Minimum, int Maximum)
{
    /// <summary>The quantifier's <c>*</c> and <c>+</c>.</summary>
    public const int Unbounded = int.MaxValue;
}
