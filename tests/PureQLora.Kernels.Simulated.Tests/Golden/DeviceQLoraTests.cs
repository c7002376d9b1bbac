using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Kernels.Tests;

/// <summary>An adapter on a 4-bit GPTQ checkpoint on the device, against float64 truth.</summary>
public sealed class DeviceQLoraTests
{
    /// <remarks>
    /// In float32 the tolerances of the CPU's test. In bfloat16 1/32 of a gradient's norm: eight operands in a row, each off by up to 2⁻⁹ of its
    /// value, add to 2⁻⁶ in both directions of the pass; 0.018 was the most.
    /// </remarks>
    [Theory]
    [InlineData(Precision.Float32, 1e-4)]
    [InlineData(Precision.BFloat16, 1.0 / 32)]
    public void Backward_GivenAQuantizedBase_ShouldMatchFloat64(Precision precision, double error)
    {
        GoldenTensors golden = GoldenTensors.Read(RepositoryPaths.Fixture("quantization", "lora", "lora.safetensors"));
        using JsonDocument figures = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("quantization", "lora", "lora.json")));
        using IlgpuBackend backend = new(new SimulatedDevice());
        using ModelFolder folder = ModelFolder.Open(RepositoryPaths.Fixture("quantization", "checkpoints", "gptq_b4_g64_sym"));
        LoraInjection.Inject(folder.Model, new LoraConfig { Rank = 8, Alpha = 16 }, seed: 1);
        foreach (LinearLayer layer in folder.Model.Linears.Where(layer => layer.Adapter is not null))
        {
            layer.Adapter!.A.CopyFrom(golden.Floats($"{layer.Name}.lora_A"));
            layer.Adapter.B.CopyFrom(golden.Floats($"{layer.Name}.lora_B"));
        }

        folder.Model.MoveTo(backend);
        int[] labels = golden.Ints("labels");
        int[] targets = [.. Enumerable.Range(0, labels.Length).Select(at => at % 32 == 31 ? CrossEntropy.Ignored : labels[at + 1])];
        using ComputeScope scope = new(backend, recordGradients: true) { Precision = precision };
        ModelInput input = ModelInput.Rows(scope, golden.Ints("input_ids"), 32);

        Tensor loss = folder.Model.Loss(scope, input, scope.From(targets, input.Ids.Shape), 48);
        scope.Backward(loss);

        double expected = figures.RootElement.GetProperty("loss").GetDouble();
        Assert.Equal(expected, loss.ToArray()[0], precision == Precision.Float32 ? 1e-5 : error * expected);
        Assert.All(folder.Model.TrainableParameters, parameter =>
        {
            float[] wanted = golden.Floats(parameter.Name.Replace(".weight", ".grad", StringComparison.Ordinal));
            double squares = wanted.Zip(parameter.Value.Grad!.ToArray(), (e, a) => ((double)e - a) * ((double)e - a)).Sum();
            Assert.InRange(Math.Sqrt(squares / wanted.Sum(e => (double)e * e)), 0, error);
        });
    }
}
