using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Gradients of every weight of llama-mha against float64 truth from PyTorch.</summary>
public sealed class GoldenGradientTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    public void Dispose() => _backend.Dispose();

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

    private IReadOnlyList<NamedParameter> Backward(GoldenModel golden, bool checkpoint)
    {
        golden.Model.MakeTrainable();
        using ComputeScope scope = new(_backend, recordGradients: true);
        scope.Backward(golden.Loss(scope, checkpoint));
        return golden.Model.TrainableParameters;
    }
}
