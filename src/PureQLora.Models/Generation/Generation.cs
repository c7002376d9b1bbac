namespace PureQLora.Models;

/// <summary>What a model wrote after a prompt.</summary>
/// <param name="Ids">Every token written, those included that ended the text: a stop token, or the tokens of a stop string.</param>
/// <param name="Text">The text of the tokens without special tokens, cut before the stop string.</param>
/// <param name="FinishReason">Why it ends.</param>
public sealed record Generation(IReadOnlyList<int> Ids, string Text, FinishReason FinishReason);
