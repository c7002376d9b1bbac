using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Gradients of every weight of llama-mha, on every tier, against float64 truth from PyTorch.</summary>
public abstract class GoldenGradientTests(CpuTier tier) : IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Backward_GivenAllWeightsTrainable_ShouldMatchPyTorch(bool checkpoint)
    {
        using GoldenModel golden = new("llama-mha");
        IReadOnlyList<NamedParameter> parameters = Backward(golden, checkpoint);

        Assert.Equal(
            golden.Values.Names.Where(name => name.StartsWith("grad.", StringComparison.Ordinal)).Order(StringComparer.Ordinal),
            parameters.Select(parameter => "grad." + parameter.Name).Order(StringComparer.Ordinal));
        Assert.All(parameters, parameter =>
            golden.Tolerances.Check("grad", golden.Values.Floats("grad." + parameter.Name), parameter.Value.Grad!.ToArray(), parameter.Name));
    }

    [Theory]
    [InlineData("llama-mha")]
    [InlineData("qwen3")]
    [InlineData("llama-bias")]
    [InlineData("qwen2")]
    public void Backward_GivenCheckpointing_ShouldGiveTheSameBits(string name)
    {
        using GoldenModel kept = new(name);
        using GoldenModel recomputed = new(name);
        foreach ((NamedParameter expected, NamedParameter actual) in Backward(kept, checkpoint: false).Zip(Backward(recomputed, checkpoint: true)))
        {
            Assert.Equal(expected.Name, actual.Name);
            Assert.Contains(expected.Value.Grad!.ToArray(), value => value != 0);
            Assert.Equal(expected.Value.Grad!.ToArray(), actual.Value.Grad!.ToArray());
        }
    }

    /// <summary>A tied table is read at both ends of the model, so its gradient is the sum of what two equal tables would get.</summary>
    [Theory]
    [InlineData("llama3-gqa")]
    [InlineData("qwen2")]
    public void Backward_GivenATiedHead_ShouldAddTheGradientsOfBothUses(string name)
    {
        using GoldenModel golden = new(name);
        using LlamaModel untied = new(golden.Model.Config with { TieWordEmbeddings = false }, new WeightsOf(golden.Model));
        untied.MakeTrainable();
        using ComputeScope scope = new(_backend, recordGradients: true);
        scope.Backward(GoldenModel.Loss(untied, scope, golden.Values, golden.Input(scope)));
        float[] sum = [.. untied.EmbeddingTable.Grad!.ToArray().Zip(untied.Head.Dense!.Grad!.ToArray(), (embedding, head) => embedding + head)];

        Backward(golden, checkpoint: false);

        // Float32 sums in another order, of gradients up to about 1.
        GoldenTolerances.Near(1e-6, sum, golden.Model.EmbeddingTable.Grad!.ToArray(), "model.embed_tokens.weight");
    }

    private IReadOnlyList<NamedParameter> Backward(GoldenModel golden, bool checkpoint)
    {
        golden.Model.MakeTrainable();
        using ComputeScope scope = new(_backend, recordGradients: true);
        scope.Backward(golden.Loss(scope, checkpoint));
        return golden.Model.TrainableParameters;
    }

    /// <summary>The weights of another model; its embedding table also serves as head.</summary>
    private sealed class WeightsOf(LlamaModel model) : IWeightSource
    {
        private readonly Dictionary<string, Tensor> _tensors = model.AllTensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Value);

        public Tensor Tensor(string name) => _tensors[name];

        public Tensor Vector(string name) => _tensors[name];

        public WeightMatrix Weight(string module) => new(module == "lm_head" ? model.EmbeddingTable : _tensors[$"{module}.weight"]);
    }
}

public sealed class ScalarGoldenGradientTests() : GoldenGradientTests(CpuTier.Scalar);

public sealed class Vector128GoldenGradientTests() : GoldenGradientTests(CpuTier.Vector128);

public sealed class Avx2GoldenGradientTests() : GoldenGradientTests(CpuTier.Avx2);

public sealed class Avx512GoldenGradientTests() : GoldenGradientTests(CpuTier.Avx512);

public sealed class Avx512BFloat16GoldenGradientTests() : GoldenGradientTests(CpuTier.Avx512BFloat16);

public sealed class AmxGoldenGradientTests() : GoldenGradientTests(CpuTier.Amx);
