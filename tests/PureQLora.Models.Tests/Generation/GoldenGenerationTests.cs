using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Golden models against transformers: greedy continuations, scores behind left padding, batches against single prompts.</summary>
public sealed class GoldenGenerationTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 1);

    public static TheoryData<string> Models => ["llama-mha", "llama3-gqa", "llama-sharded", "mistral-sliding", "qwen2", "qwen3", "llama-bias", "llama-linear", "llama-yarn"];

    public void Dispose() => _backend.Dispose();

    [Theory]
    [MemberData(nameof(Models))]
    public void Generate_GivenGoldenPrompts_ShouldWriteTheGoldenTokens(string name)
    {
        using ModelFolder folder = ModelFolder.Open(RepositoryPaths.Fixture("models", name));
        GoldenTensors golden = GoldenTensors.Read(RepositoryPaths.Fixture("models", name, "golden.safetensors"));
        int[][] expected = Rows(golden, "greedy.tokens");
        IReadOnlyList<Generation> generations = Generator(folder).Generate(
            Rows(golden, "greedy.prompt"), new SamplingOptions { MaxNewTokens = expected[0].Length });
        for (int row = 0; row < expected.Length; row++)
        {
            Assert.Equal(expected[row], generations[row].Ids);
            Assert.Equal(string.Concat(expected[row].Select(id => $" {id}")), generations[row].Text);
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Prefill_GivenRaggedPrompts_ShouldScoreAsTransformers(string name)
    {
        using ModelFolder folder = ModelFolder.Open(RepositoryPaths.Fixture("models", name));
        GoldenTensors golden = GoldenTensors.Read(RepositoryPaths.Fixture("models", name, "golden.safetensors"));
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(RepositoryPaths.Fixture("models", name, "golden.json")));
        double tolerance = document.RootElement.GetProperty("tolerance").GetProperty("left.logits").GetDouble();
        int[][] mask = Rows(golden, "left.attention_mask");
        int[][] prompts = [.. Rows(golden, "left.input_ids").Zip(mask, (ids, seen) => ids.Where((_, i) => seen[i] == 1).ToArray())];
        Assert.True(prompts[1].Length < prompts[0].Length);
        float[] expected = golden.Floats("left.logits");        // [B, 20, vocabulary]
        int vocabulary = folder.Model.Config.VocabularySize;
        foreach (int passTokens in new[] { 4096, 6 })
        {
            using DecodingBatch batch = new(folder.Model, _backend, Precision.Float32, prompts.Select(Sequence)) { PassTokens = passTokens };
            Assert.True(batch.Prefill(CancellationToken.None));
            for (int row = 0; row < prompts.Length; row++)
            {
                ReadOnlySpan<float> last = expected.AsSpan((((row + 1) * mask[0].Length) - 1) * vocabulary, vocabulary);
                double worst = 0;
                for (int i = 0; i < vocabulary; i++)
                {
                    worst = Math.Max(worst, Math.Abs(last[i] - batch.Logits(row)[i]));
                }

                Assert.True(worst <= tolerance, $"row {row} in passes of {passTokens}: off by {worst:E2}, allowed {tolerance:E2}");
            }
        }

        GeneratedSequence Sequence(int[] prompt, int index) =>
            new(index, prompt, 1, new StreamingDecoder(PieceTokenizer.Numbered(vocabulary)), new StopStringMatcher([]));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Generate_GivenRaggedPrompts_ShouldWriteWhatEachWritesAlone(string name)
    {
        using ModelFolder folder = ModelFolder.Open(RepositoryPaths.Fixture("models", name));
        int vocabulary = folder.Model.Config.VocabularySize;
        int[][] prompts = [.. new[] { 3, 17, 1, 9, 26, 5 }.Select((length, row) =>
            Enumerable.Range(0, length).Select(i => (int)(RandomState.Bits((ulong)row + 1, i) % (ulong)vocabulary)).ToArray())];

        // A good share of the vocabulary stops, so that rows leave the batch one after another.
        SamplingOptions options = new() { MaxNewTokens = 24, StopIds = [.. Enumerable.Range(0, vocabulary / 12)] };
        IReadOnlyList<Generation> together = Generator(folder).Generate(prompts, options);
        for (int row = 0; row < prompts.Length; row++)
        {
            Generation alone = Generator(folder).Generate([prompts[row]], options)[0];
            Assert.Equal(alone.Ids, together[row].Ids);
            Assert.Equal(alone.FinishReason, together[row].FinishReason);
        }

        Assert.True(together.Select(generation => generation.Ids.Count).Distinct().Count() > 1, "rows should end at different steps");
    }

    /// <summary>Golden continuations do not stop at EOS.</summary>
    private TextGenerator Generator(ModelFolder folder) =>
        new(folder.Model, PieceTokenizer.Numbered(folder.Model.Config.VocabularySize), _backend) { StopIds = [] };

    private static int[][] Rows(GoldenTensors golden, string name) => [.. golden.Ints(name).Chunk((int)golden.Shape(name)[1])];
}
