namespace PureQLora.Models;

/// <summary>One entry of a SentencePiece vocabulary; its place in the file is its id.</summary>
/// <param name="Text">Spelling, with U+2581 for a space.</param>
/// <param name="Score">Merge priority; the highest goes first.</param>
/// <param name="Type">Kind.</param>
internal readonly record struct SentencePiece(string Text, float Score, SentencePieceType Type);
