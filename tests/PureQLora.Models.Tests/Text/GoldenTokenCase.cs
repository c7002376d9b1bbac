namespace PureQLora.Models.Tests;

/// <summary>One row of the tokenizer vectors. <paramref name="Source"/> is null where only ids are given.</summary>
internal sealed record GoldenTokenCase(
    string Id, string? Source, int[] Ids, int[]? IdsSpecial, string Text, string TextSkip, string? TextSpecial, string? TextSpecialSkip, string[]? Stream);
