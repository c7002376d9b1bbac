namespace PureQLora.Models;

/// <summary>One rule of byte-pair encoding: two neighbouring symbols become one.</summary>
/// <param name="Left">Left symbol.</param>
/// <param name="Right">Right symbol.</param>
/// <param name="Rank">Priority; the lowest rank goes first.</param>
/// <param name="Result">The symbol that takes their place.</param>
internal readonly record struct Merge(int Left, int Right, int Rank, int Result);
