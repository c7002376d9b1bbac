namespace PureQLora.Core;

/// <summary>Some columns of eight rows of a weight.</summary>
/// <param name="Row">The first row.</param>
/// <param name="InItem">The same, counted from the first row of the work item.</param>
/// <param name="Block">First block of 128 columns.</param>
/// <param name="Blocks">Blocks.</param>
/// <param name="Ahead">Columns from the first one to those of the piece that comes next, as if all rows were one long one.</param>
internal readonly record struct ExpandedPiece(long Row, long InItem, int Block, int Blocks, long Ahead);
