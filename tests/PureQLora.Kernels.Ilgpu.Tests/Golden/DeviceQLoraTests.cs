using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Kernels.Tests;

/// <summary>An adapter on a 4-bit GPTQ checkpoint on the device.</summary>
public sealed class DeviceQLoraTests : KernelTest
{
    /// <summary>Of a gradient's Euclidean norm: what some ten products of operands with 8 significant bits leave where rounding turns out otherwise.</summary>
    private const double BFloat16Error = 1.0 / 64;

    private readonly GoldenTensors _golden = GoldenTensors.Read(RepositoryPaths.Fixture("quantization", "lora", "lora.safetensors"));

    /// <remarks>The tolerances of the CPU's test.</remarks>
    [FastFact]
    public void Backward_GivenAQuantizedBase_ShouldMatchFloat64()
    {
        using JsonDocument figures = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("quantization", "lora", "lora.json")));

        (float loss, IReadOnlyDictionary<string, float[]> gradients) = Run(Gpu, Precision.Float32);

        Assert.Equal(figures.RootElement.GetProperty("loss").GetDouble(), loss, 1e-5);
        Assert.All(gradients, gradient => Assert.InRange(
            Distance(_golden.Floats(gradient.Key.Replace(".weight", ".grad", StringComparison.Ordinal)), gradient.Value), 0, 1e-4));
    }

    /// <remarks>In bfloat16 the CPU, which rounds the same operands, is the measure.</remarks>
    [FastFact]
    public void Backward_GivenAQuantizedBaseInBFloat16_ShouldMatchTheCpu()
    {
        (float wanted, IReadOnlyDictionary<string, float[]> expected) = Run(Cpu, Precision.BFloat16);

        (float loss, IReadOnlyDictionary<string, float[]> gradients) = Run(Gpu, Precision.BFloat16);

        Assert.Equal(wanted, loss, BFloat16Error * wanted);
        Assert.All(gradients, gradient => Assert.InRange(Distance(expected[gradient.Key], gradient.Value), 0, BFloat16Error));
    }

    private static double Distance(float[] expected, float[] actual) =>
        Math.Sqrt(expected.Zip(actual, (e, a) => ((double)e - a) * ((double)e - a)).Sum() / expected.Sum(e => (double)e * e));

    private (float Loss, IReadOnlyDictionary<string, float[]> Gradients) Run(IBackend backend, Precision precision)
    {
        using ModelFolder folder = ModelFolder.Open(RepositoryPaths.Fixture("quantization", "checkpoints", "gptq_b4_g64_sym"));
        LoraInjection.Inject(folder.Model, new LoraConfig { Rank = 8, Alpha = 16 }, seed: 1);
        foreach (LinearLayer layer in folder.Model.Linears.Where(layer => layer.Adapter is not null))
        {
            layer.Adapter!.A.CopyFrom(_golden.Floats($"{layer.Name}.lora_A"));
            layer.Adapter.B.CopyFrom(_golden.Floats($"{layer.Name}.lora_B"));
        }

        folder.Model.MoveTo(backend);
        int[] labels = _golden.Ints("labels");
        int[] targets = [.. Enumerable.Range(0, labels.Length).Select(at => at % 32 == 31 ? CrossEntropy.Ignored : labels[at + 1])];
        using ComputeScope scope = new(backend, recordGradients: true) { Precision = precision };
        ModelInput input = ModelInput.Rows(scope, _golden.Ints("input_ids"), 32);
        Tensor loss = folder.Model.Loss(scope, input, scope.From(targets, input.Ids.Shape), 48);
        scope.Backward(loss);
        return (loss.ToArray()[0], folder.Model.TrainableParameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Value.Grad!.ToArray()));
    }
}
