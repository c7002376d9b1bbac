using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Models.Tests;
using PureQLora.Training;
using PureQLora.Training.Tests;

namespace PureQLora.Kernels.Tests;

/// <summary>Golden models and runs on the device. In float32 the tolerances are those of the golden files, as for every tier of the CPU.</summary>
public sealed class DeviceGoldenTests : IDisposable
{
    /// <summary>
    /// How far bfloat16 lies from the truth depends on the model, so the CPU's bfloat16 is the measure: the device rounds the same operands, and
    /// sums in another order, which turns single roundings the other way.
    /// </summary>
    private const double ShareOfTheCpu = 1.5;

    private readonly IlgpuBackend _backend = new(new SimulatedDevice());

    public static TheoryData<string> All => [.. GoldenModel.Names];

    public void Dispose() => _backend.Dispose();

    [Theory]
    [InlineData("llama3-gqa")]
    [InlineData("mistral-sliding")]
    [InlineData("qwen3")]
    public void Forward_GivenAGoldenModel_ShouldMatchTransformers(string name) => CheckForward(name);

    [Theory(Explicit = true)]
    [Trait("Category", "Slow")]
    [MemberData(nameof(All))]
    public void Forward_GivenEveryGoldenModel_ShouldMatchTransformers(string name) => CheckForward(name);

    [Fact]
    public void Backward_GivenPeftsAdapter_ShouldHaveItsGradients()
    {
        (GoldenTensors values, GoldenTolerances tolerances) = Adapter();

        (float loss, Dictionary<string, float[]> gradients) = Backward(_backend, Precision.Float32);

        tolerances.Check("loss", tolerances.Root.GetProperty("loss").GetDouble(), loss);
        Assert.All(gradients, gradient => tolerances.Check("grad", values.Floats(gradient.Key), gradient.Value, gradient.Key));
    }

    [Fact]
    public void Backward_GivenBFloat16_ShouldLieAsNearToTheTruthAsTheCpu()
    {
        (GoldenTensors values, _) = Adapter();
        using CpuBackend cpu = new(threads: 1);

        Dictionary<string, float[]> expected = Backward(cpu, Precision.BFloat16).Gradients;
        Dictionary<string, float[]> actual = Backward(_backend, Precision.BFloat16).Gradients;

        Assert.NotEmpty(actual);
        Assert.All(actual, gradient => Assert.InRange(
            Distance(values.Floats(gradient.Key), gradient.Value), 1e-6, ShareOfTheCpu * Distance(values.Floats(gradient.Key), expected[gradient.Key])));
    }

    [Theory]
    [InlineData("llama-mha--lora", 3)]
    public void Step_GivenAGoldenRun_ShouldBeginItsTrajectory(string name, int steps) => CheckTrajectory(name, steps);

    [Theory(Explicit = true)]
    [Trait("Category", "Slow")]
    [InlineData("llama-mha--lora")]
    [InlineData("qwen2--lora")]
    public void Step_GivenAGoldenRun_ShouldFollowItsTrajectory(string name) => CheckTrajectory(name, 20);

    private static string AdapterFolder => RepositoryPaths.Fixture("models", "lora", "llama-mha--lora");

    private static (GoldenTensors Values, GoldenTolerances Tolerances) Adapter() => (
        GoldenTensors.Read(Path.Combine(AdapterFolder, "golden.safetensors")), GoldenTolerances.Read(Path.Combine(AdapterFolder, "golden.json")));

    private static (float Loss, Dictionary<string, float[]> Gradients) Backward(IBackend backend, Precision precision)
    {
        using GoldenModel golden = new("llama-mha");
        LoraInjection.Load(golden.Model, AdapterFolder, trainable: true);
        golden.Model.MoveTo(backend);
        using ComputeScope scope = new(backend, recordGradients: true) { Precision = precision };
        Tensor loss = golden.Loss(scope, checkpoint: true);
        scope.Backward(loss);
        return (loss.ToArray()[0], golden.Model.TrainableParameters.ToDictionary(
            parameter => $"grad.base_model.model.{parameter.Name}", parameter => parameter.Value.Grad!.ToArray()));
    }

    private static double Distance(float[] expected, float[] actual) =>
        Math.Sqrt(expected.Zip(actual, (e, a) => ((double)e - a) * ((double)e - a)).Sum() / expected.Sum(e => (double)e * e));

    private void CheckForward(string name)
    {
        using GoldenModel golden = new(name);
        golden.Model.MoveTo(_backend);
        using ComputeScope scope = new(_backend);

        Tensor hidden = golden.Model.Forward(scope, golden.Input(scope));

        golden.Tolerances.Check("hidden.norm", golden.Values.Floats("hidden.norm"), hidden.ToArray());
        golden.Tolerances.Check("logits", golden.Values.Floats("logits"), golden.Model.Logits(scope, hidden).ToArray());
    }

    private void CheckTrajectory(string name, int steps)
    {
        GoldenTolerances tolerances = GoldenTolerances.Read(Path.Combine(GoldenTrajectoryTests.Folder(name), "golden.json"));
        double[] Expected(string key) => [.. tolerances.Root.GetProperty(key).EnumerateArray().Select(value => value.GetDouble())];

        (StepMetrics[] taken, _) = GoldenTrajectoryTests.Train(name, _backend, Precision.Float32, checkpointing: true, steps);

        foreach ((StepMetrics step, (double loss, double norm)) in taken.Zip(Expected("loss").Zip(Expected("grad_norm"))))
        {
            tolerances.Check("loss", loss, step.Loss);
            tolerances.Check("grad_norm", norm, step.GradNorm);
        }
    }
}
