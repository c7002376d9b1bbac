namespace PureQLora.Models;

/// <summary>What becomes of the matches of a splitting pattern; the names are those of <c>tokenizer.json</c>.</summary>
internal enum SplitBehavior
{
    /// <summary>Matches go.</summary>
    Removed,

    /// <summary>Every match is a part of its own.</summary>
    Isolated,

    /// <summary>A match belongs to the part before it.</summary>
    MergedWithPrevious,

    /// <summary>A match belongs to the part after it.</summary>
    MergedWithNext,

    /// <summary>Matches without a gap are one part.</summary>
    Contiguous,
}
