using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Adapters started on a quantised model: nearer to the full one, and ordinary PEFT adapters otherwise.</summary>
public sealed class AdapterInitializationTests : IDisposable
{
    private static readonly LlamaConfig Config = new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = 90,
        HiddenSize = 64,
        IntermediateSize = 96,
        Layers = 2,
        Heads = 4,
        KeyValueHeads = 2,
        HeadDim = 16,
        RmsNormEpsilon = 1e-5,
        MaxPositions = 128,
        SlidingWindows = new int?[2],
    };

    private static readonly LoraConfig Lora = new() { Rank = 8, Alpha = 16, TargetPattern = LoraConfig.AllLinear };

    private readonly CpuBackend _backend = new(threads: 2);
    private readonly TemporaryFolder _temporary = new();

    public static TheoryData<AdapterStart, int, QuantizationMethod> Starts => new()
    {
        { AdapterStart.Loftq, 1, QuantizationMethod.Gptq },
        { AdapterStart.Loftq, 4, QuantizationMethod.Gptq },
        { AdapterStart.Loftq, 4, QuantizationMethod.RoundToNearest },
        { AdapterStart.Error, 1, QuantizationMethod.Gptq },
    };

    public void Dispose()
    {
        _backend.Dispose();
        _temporary.Dispose();
    }

    [Theory]
    [MemberData(nameof(Starts))]
    public void Inject_GivenAnyStart_ShouldComeNearerToTheFullModel(AdapterStart start, int iterations, QuantizationMethod method)
    {
        using LlamaModel full = Full();
        using LlamaModel model = Quantized(method);
        double plain = Distance(model, full);

        IReadOnlyList<AdapterStartResult> results = Inject(model, full, start, iterations, method);

        Assert.Equal(model.Linears.Select(layer => layer.Name), results.Select(result => result.Layer));
        Assert.All(results, result => Assert.InRange(result.After, 0, 0.95 * result.Before));
        Assert.All(model.Linears, layer => Assert.True(layer.Adapter!.A.RequiresGrad && layer.Adapter.B.RequiresGrad));
        Assert.All(model.Linears, layer => Assert.Equal(2f, layer.Adapter!.Scale));
        Assert.InRange(Distance(model, full), 0, 0.9 * plain);
    }

    [Fact]
    public void Inject_GivenMoreIterations_ShouldNotBeWorse()
    {
        using LlamaModel full = Full();
        double[] sums = [.. new[] { 1, 5 }.Select(iterations =>
        {
            using LlamaModel model = Quantized(QuantizationMethod.RoundToNearest);
            return Inject(model, full, AdapterStart.Loftq, iterations, QuantizationMethod.RoundToNearest).Sum(result => result.After);
        })];
        Assert.InRange(sums[1], 0, 0.999 * sums[0]);
    }

    [Fact]
    public void Inject_GivenTheError_ShouldBeBetterInTheLayersOutputThanLoftq()
    {
        using LlamaModel full = Full();
        double[] distances = [.. new[] { AdapterStart.Loftq, AdapterStart.Error }.Select(start =>
        {
            using LlamaModel model = Quantized(QuantizationMethod.Gptq);
            Inject(model, full, start, 1, QuantizationMethod.Gptq);
            return Distance(model, full);
        })];
        Assert.True(distances[1] < distances[0], $"LoftQ {distances[0]}, error {distances[1]}");
    }

    [Fact]
    public void Inject_GivenZero_ShouldBeAnOrdinaryInjection()
    {
        using LlamaModel full = Full();
        using LlamaModel model = Quantized(QuantizationMethod.Gptq);
        using LlamaModel other = Quantized(QuantizationMethod.Gptq);
        Assert.Empty(Inject(model, full, AdapterStart.Zero, 1, QuantizationMethod.Gptq));
        LoraInjection.Inject(other, Lora, seed: 9);
        Assert.Equal(Tensors(other), Tensors(model));
    }

    [Theory]
    [MemberData(nameof(Starts))]
    public void Inject_GivenAnAdapterSavedAndRead_ShouldGiveTheSameLogitsAndMerge(AdapterStart start, int iterations, QuantizationMethod method)
    {
        using LlamaModel full = Full();
        using LlamaModel model = Quantized(method);
        Inject(model, full, start, iterations, method);
        float[] expected = Logits(model);
        PeftCheckpoint.Write(_temporary["adapter"], LoraInjection.Extract(model, Lora));

        LoraInjection.Remove(model);
        LoraInjection.Load(model, _temporary["adapter"]);

        Assert.Equal(expected, Logits(model));
        foreach (LinearLayer layer in model.Linears)
        {
            float[] original = full.Linears.Single(other => other.Name == layer.Name).Weight.Dense!.ToArray();
            Assert.True(Distance(LoraMerge.MergedWeight(layer), original) < Distance(layer.Weight.Quantized!.Dequantize(), original));
        }
    }

    [Fact]
    public void Inject_GivenAnotherNumberOfThreads_ShouldBeTheSameToTheBit()
    {
        using LlamaModel full = Full();
        float[][] found = [.. new[] { 1, 3 }.Select(threads =>
        {
            using CpuBackend backend = new(threads);
            using LlamaModel model = Quantized(QuantizationMethod.Gptq);
            AdapterInitialization.Inject(model, full, backend, Lora, new AdapterStartOptions { Start = AdapterStart.Error }, Calibration());
            return Tensors(model);
        })];
        Assert.Equal(found[0], found[1]);
    }

    [Fact]
    public void Inject_GivenWhatCannotBe_ShouldSayWhy()
    {
        using LlamaModel full = Full();
        using LlamaModel model = Quantized(QuantizationMethod.Gptq);
        Assert.Contains("quantise it first", Refused(full, AdapterStart.Loftq, []), StringComparison.Ordinal);
        Assert.Contains("calibration text", Refused(model, AdapterStart.Error, [[]]), StringComparison.Ordinal);
        Assert.Contains("0 times", Assert.Throws<UserErrorException>(() => Inject(model, full, AdapterStart.Loftq, 0, QuantizationMethod.Gptq)).Message, StringComparison.Ordinal);
        Assert.All(model.Linears, layer => Assert.Null(layer.Adapter));

        string Refused(LlamaModel quantized, AdapterStart start, IReadOnlyList<int[]> calibration) => Assert.Throws<UserErrorException>(
            () => AdapterInitialization.Inject(quantized, full, _backend, Lora, new AdapterStartOptions { Start = start }, calibration)).Message;
    }

    private static LlamaModel Full() => new(Config, new RandomWeights(Config, seed: 4, deviation: 0.15f));

    private static int[][] Calibration()
    {
        Random random = new(4);
        return [.. Enumerable.Range(0, 10).Select(i => Enumerable.Range(0, 20 + i).Select(_ => random.Next(90)).ToArray())];
    }

    private static float[] Tensors(LlamaModel model) => [.. model.Linears.SelectMany(layer => layer.Adapter!.A.ToArray().Concat(layer.Adapter.B.ToArray()))];

    private static double Distance(float[] a, float[] b) => a.Zip(b, (x, y) => (double)(x - y) * (x - y)).Sum();

    private double Distance(LlamaModel model, LlamaModel full) => Distance(Logits(model), Logits(full));

    /// <summary>Of all calibration texts: those of one text alone move by a tenth with the rounding of a processor's tier.</summary>
    private float[] Logits(LlamaModel model)
    {
        using ComputeScope scope = new(_backend);
        List<float> logits = [];
        foreach (int[] ids in Calibration())
        {
            logits.AddRange(model.Logits(scope, model.Forward(scope, ModelInput.Single(scope, ids))).ToArray());
            scope.Reset();
        }

        return [.. logits];
    }

    private LlamaModel Quantized(QuantizationMethod method)
    {
        LlamaModel model = Full();
        ModelQuantizer.Quantize(model, _backend, method, new GptqOptions { Bits = 2, GroupSize = 16 }, Calibration());
        return model;
    }

    private IReadOnlyList<AdapterStartResult> Inject(LlamaModel model, LlamaModel full, AdapterStart start, int iterations, QuantizationMethod method) =>
        AdapterInitialization.Inject(
            model,
            full,
            _backend,
            Lora,
            new AdapterStartOptions { Start = start, LoftqIterations = iterations, Method = method, Quantization = new GptqOptions { Bits = 2, GroupSize = 16 }, Seed = 9 },
            Calibration());
}
