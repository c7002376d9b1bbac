using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Adapters that PEFT saved, against float64 truth: logits, loss, gradients, merged weights.</summary>
public sealed class GoldenLoraTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    public static TheoryData<string> Adapters =>
    [
        "llama-mha--lora", "llama-mha--rslora", "llama-mha--patterns", "llama-mha--all-linear",
        "llama3-gqa--lora", "llama3-gqa--rslora", "llama3-gqa--patterns", "qwen2--lora",
    ];

    public void Dispose() => _backend.Dispose();

    [Theory]
    [MemberData(nameof(Adapters))]
    public void Load_GivenPeftsAdapter_ShouldMatchItsLogitsLossAndGradients(string name)
    {
        using Case golden = new(name);
        int layers = 0;
        foreach (JsonProperty layer in golden.Tolerances.Root.GetProperty("layers").EnumerateObject())
        {
            layers++;
            LoraAdapter adapter = golden.Model.Linears.Single(linear => linear.Name == layer.Name).Adapter!;
            Assert.Equal(layer.Value.GetProperty("r").GetInt32(), adapter.Rank);
            Assert.Equal((float)layer.Value.GetProperty("scaling").GetDouble(), adapter.Scale);
        }

        Assert.Equal(layers, golden.Model.Linears.Count(linear => linear.Adapter is not null));
        golden.Tolerances.Check("logits", golden.Values.Floats("logits"), golden.Logits(_backend));
        using ComputeScope scope = new(_backend, recordGradients: true);
        Tensor loss = golden.Loss(scope);
        golden.Tolerances.Check("loss", golden.Tolerances.Root.GetProperty("loss").GetDouble(), loss.ToArray()[0]);

        scope.Backward(loss);
        IReadOnlyList<NamedParameter> parameters = golden.Model.TrainableParameters;
        Assert.Equal(
            golden.Values.Names.Where(key => key.StartsWith("grad.", StringComparison.Ordinal)).Order(StringComparer.Ordinal),
            parameters.Select(parameter => $"grad.base_model.model.{parameter.Name}").Order(StringComparer.Ordinal));
        Assert.All(parameters, parameter => golden.Tolerances.Check(
            "grad", golden.Values.Floats($"grad.base_model.model.{parameter.Name}"), parameter.Value.Grad!.ToArray(), parameter.Name));
    }

    [Theory]
    [MemberData(nameof(Adapters))]
    public void Backward_GivenCheckpointing_ShouldGiveTheSameBits(string name)
    {
        float[][][] gradients = [.. new[] { false, true }.Select(checkpoint =>
        {
            using Case golden = new(name);
            using ComputeScope scope = new(_backend, recordGradients: true);
            scope.Backward(golden.Loss(scope, checkpoint));
            return golden.Model.TrainableParameters.Select(parameter => parameter.Value.Grad!.ToArray()).ToArray();
        })];
        Assert.Equal(gradients[0], gradients[1]);
    }

    [Theory]
    [MemberData(nameof(Adapters))]
    public void Merge_GivenPeftsAdapter_ShouldMatchPeftAndUnmergeBitForBit(string name)
    {
        using Case golden = new(name);
        float[] beside = golden.Logits(_backend);
        float[][] before = [.. golden.Model.Linears.Select(layer => layer.Weight.Dense!.ToArray())];

        LoraMerge.Merge(golden.Model);

        string[] merged = [.. golden.Values.Names.Where(key => key.StartsWith("merged.model", StringComparison.Ordinal))];
        Assert.Equal(4, merged.Length);
        foreach (string key in merged)
        {
            LinearLayer layer = golden.Model.Linears.Single(linear => $"merged.{linear.Name}.weight" == key);
            golden.Tolerances.Check("merged.weight", golden.Values.Floats(key), layer.Weight.Dense!.ToArray(), key);
        }

        golden.Tolerances.Check("merged.logits", golden.Values.Floats("merged.logits"), golden.Logits(_backend));

        LoraMerge.Unmerge(golden.Model);
        Assert.Equal(before, golden.Model.Linears.Select(layer => layer.Weight.Dense!.ToArray()));
        Assert.Equal(beside, golden.Logits(_backend));
    }

    /// <summary>A golden model with a golden adapter on it, ready to train.</summary>
    private sealed class Case : IDisposable
    {
        private readonly GoldenModel _base;

        public Case(string name)
        {
            _base = new GoldenModel(name[..name.IndexOf("--", StringComparison.Ordinal)]);
            string folder = RepositoryPaths.Fixture("models", "lora", name);
            folder = Directory.Exists(folder) ? folder : RepositoryPaths.Shared("golden", "models", "lora", name);
            LoraInjection.Load(_base.Model, folder, trainable: true);
            Values = GoldenTensors.Read(Path.Combine(folder, "golden.safetensors"));
            Tolerances = GoldenTolerances.Read(Path.Combine(folder, "golden.json"));
        }

        public LlamaModel Model => _base.Model;

        public GoldenTensors Values { get; }

        public GoldenTolerances Tolerances { get; }

        public float[] Logits(CpuBackend backend)
        {
            using ComputeScope scope = new(backend);
            return Model.Logits(scope, Model.Forward(scope, _base.Input(scope))).ToArray();
        }

        public Tensor Loss(ComputeScope scope, bool checkpoint = false) => _base.Loss(scope, checkpoint);

        public void Dispose() => _base.Dispose();
    }
}
