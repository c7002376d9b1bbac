using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Every golden model on every tier, against float64 truth from transformers; tolerances are those of its golden.json.</summary>
public abstract class GoldenModelTests(CpuTier tier) : IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    public static TheoryData<string> Models => [.. GoldenModel.Names];

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Forward_GivenAGoldenModel_ShouldMatchTransformers(string name)
    {
        using GoldenModel golden = new(name);
        using ComputeScope scope = new(_backend);
        ModelInput input = golden.Input(scope);
        BlockContext context = golden.Model.Context(input);
        void Check(string key, Tensor actual) => golden.Tolerances.Check(key, golden.Values.Floats(key), actual.ToArray());

        Tensor x = golden.Model.Embed(scope, input);
        Check("hidden.embed", x);
        for (int layer = 0; layer < golden.Model.Blocks.Count; layer++)
        {
            x = golden.Model.Blocks[layer].Forward(scope, x, context);
            Check($"hidden.block.{layer}", x);
        }

        Tensor hidden = golden.Model.Forward(scope, input);
        Check("hidden.norm", hidden);
        Check("logits", golden.Model.Logits(scope, hidden));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Loss_GivenAGoldenModel_ShouldMatchTransformers(string name)
    {
        using GoldenModel golden = new(name);
        using ComputeScope scope = new(_backend);
        golden.Tolerances.Check("loss", golden.Tolerances.Root.GetProperty("loss").GetDouble(), golden.Loss(scope).ToArray()[0]);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Forward_GivenPaddingOnTheLeft_ShouldMatchTransformers(string name) => CheckPadded(name, "left");

    [Theory]
    [MemberData(nameof(Models))]
    public void Forward_GivenPaddingOnTheRight_ShouldMatchTransformers(string name) => CheckPadded(name, "right");

    [Theory]
    [MemberData(nameof(Models))]
    public void Forward_GivenAGrowingText_ShouldPredictTransformersTokens(string name)
    {
        using GoldenModel golden = new(name);
        (int[] prompt, int[] tokens) = (golden.Values.Ints("greedy.prompt"), golden.Values.Ints("greedy.tokens"));
        const int Rows = 2;
        (int promptLength, int count) = (prompt.Length / Rows, tokens.Length / Rows);
        List<int>[] texts = [.. prompt.Chunk(promptLength).Select(row => row.ToList())];
        using ComputeScope scope = new(_backend);
        for (int step = 0; step < count; step++)
        {
            scope.Reset();
            int[] next = Next(golden.Model, scope, ModelInput.Rows(scope, [.. texts.SelectMany(text => text)], promptLength + step));
            for (int row = 0; row < Rows; row++)
            {
                Assert.Equal(tokens[(row * count) + step], next[row]);
                texts[row].Add(next[row]);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Forward_GivenACache_ShouldPredictTransformersTokens(string name)
    {
        using GoldenModel golden = new(name);
        (int[] prompt, int[] tokens) = (golden.Values.Ints("greedy.prompt"), golden.Values.Ints("greedy.tokens"));
        const int Rows = 2;
        (int promptLength, int count) = (prompt.Length / Rows, tokens.Length / Rows);
        using KeyValueCache cache = new(_backend, golden.Model.Config, Rows, promptLength + count);
        using ComputeScope scope = new(_backend);
        int[] next = Next(golden.Model, scope, ModelInput.Rows(scope, prompt, promptLength) with { Cache = cache });
        for (int step = 0; step < count; step++)
        {
            Assert.Equal(tokens.Where((_, at) => at % count == step), next);
            scope.Reset();
            Shape shape = new(Rows, 1);
            next = Next(golden.Model, scope, new ModelInput(scope.From(next, shape), scope.From([promptLength + step, promptLength + step], shape)) { Cache = cache });
        }

        Assert.Equal(promptLength + count, cache.Length);
    }

    private void CheckPadded(string name, string side)
    {
        using GoldenModel golden = new(name);
        using ComputeScope scope = new(_backend);
        int[] mask = golden.Values.Ints($"{side}.attention_mask");
        int seq = (int)golden.Values.Shape($"{side}.attention_mask")[1];
        (int[] positions, int[] segments) = (new int[mask.Length], new int[mask.Length]);
        for (int at = 0; at < mask.Length; at++)
        {
            // A token's position is the number of tokens before it in its row.
            int before = mask.AsSpan(at - (at % seq), at % seq).Count(1);
            (positions[at], segments[at]) = mask[at] == 1 ? (before, 0) : (0, -1);
        }

        Assert.Contains(-1, segments);
        Shape shape = new(mask.Length / seq, seq);
        ModelInput input = new(scope.From(golden.Values.Ints($"{side}.input_ids"), shape), scope.From(positions, shape)) { Segments = scope.From(segments, shape) };
        float[] logits = golden.Model.Logits(scope, golden.Model.Forward(scope, input)).ToArray();

        int vocabulary = golden.Model.Config.VocabularySize;
        Assert.All(logits, logit => Assert.True(float.IsFinite(logit)));
        for (int at = 0; at < mask.Length; at++)
        {
            if (mask[at] == 0)
            {
                logits.AsSpan(at * vocabulary, vocabulary).Clear();
            }
        }

        golden.Tolerances.Check($"{side}.logits", golden.Values.Floats($"{side}.logits"), logits);
    }

    /// <summary>The most likely token behind each row.</summary>
    private static int[] Next(LlamaModel model, ComputeScope scope, ModelInput input)
    {
        float[] logits = model.Logits(scope, model.Forward(scope, input)).ToArray();
        (int rows, int vocabulary) = ((int)input.Ids.Shape[0], model.Config.VocabularySize);
        int rowLength = logits.Length / rows;
        return [.. Enumerable.Range(1, rows).Select(row => System.Numerics.Tensors.TensorPrimitives.IndexOfMax(logits.AsSpan((row * rowLength) - vocabulary, vocabulary)))];
    }
}

public sealed class ScalarGoldenModelTests() : GoldenModelTests(CpuTier.Scalar);

public sealed class Vector128GoldenModelTests() : GoldenModelTests(CpuTier.Vector128);

public sealed class Avx2GoldenModelTests() : GoldenModelTests(CpuTier.Avx2);

public sealed class Avx512GoldenModelTests() : GoldenModelTests(CpuTier.Avx512);

public sealed class Avx512BFloat16GoldenModelTests() : GoldenModelTests(CpuTier.Avx512BFloat16);

public sealed class AmxGoldenModelTests() : GoldenModelTests(CpuTier.Amx);
