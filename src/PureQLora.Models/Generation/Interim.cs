#pragma warning disable
namespace PureQLora.Models;
public sealed record Generation(int[] Ids, string Text);
public sealed record SamplingOptions { public int MaxNewTokens { get; init; } public IReadOnlyList<string> StopStrings { get; init; } = []; public float Temperature { get; init; } public float TopP { get; init; } public int TopK { get; init; } public float MinP { get; init; } public float RepetitionPenalty { get; init; } public ulong Seed { get; init; } }
public sealed class TextGenerator(LlamaModel model, ITokenizer tokenizer, PureQLora.Core.IBackend backend)
{
    public PureQLora.Core.Precision Precision { get; init; }
    public IReadOnlyList<Generation> Generate(IReadOnlyList<int[]> prompts, SamplingOptions options, CancellationToken token = default) => throw new NotSupportedException();
    public IEnumerable<string> Stream(string prompt, SamplingOptions options, CancellationToken token = default) => throw new NotSupportedException();
}
