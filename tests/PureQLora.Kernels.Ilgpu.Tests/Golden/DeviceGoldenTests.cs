using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Models.Tests;
using PureQLora.Training;
using PureQLora.Training.Tests;

namespace PureQLora.Kernels.Tests;

/// <summary>Golden models and runs on the device. In float32 the tolerances are those of the golden files, as for every tier of the CPU.</summary>
public sealed class DeviceGoldenTests : KernelTest
{
    /// <summary>
    /// In bfloat16 each operand has 8 significant bits, an error of up to 2⁻⁹ of its value that sums of many terms average: 2⁻⁶ of a tensor's
    /// Euclidean norm is what some ten products in a row leave at most.
    /// </summary>
    private const double BFloat16Error = 1.0 / 64;

    public static TheoryData<string> All => [.. GoldenModel.Names];

    [Theory]
    [FastData("llama3-gqa")]
    [FastData("mistral-sliding")]
    [FastData("qwen3")]
    public void Forward_GivenAGoldenModel_ShouldMatchTransformers(string name) => CheckForward(name);

    [Theory(Explicit = true)]
    [Trait("Category", "Slow")]
    [MemberData(nameof(All))]
    public void Forward_GivenEveryGoldenModel_ShouldMatchTransformers(string name) => CheckForward(name);

    [FastFact]
    public void Backward_GivenPeftsAdapter_ShouldHaveItsGradients()
    {
        GoldenTensors values = GoldenTensors.Read(Path.Combine(AdapterFolder, "golden.safetensors"));
        GoldenTolerances tolerances = GoldenTolerances.Read(Path.Combine(AdapterFolder, "golden.json"));

        (float loss, IReadOnlyDictionary<string, float[]> gradients) = Gradients(Gpu, Precision.Float32);

        Assert.Equal(tolerances.Root.GetProperty("loss").GetDouble(), loss, tolerances.Of("loss"));
        foreach ((string name, float[] gradient) in gradients)
        {
            tolerances.Check("grad", values.Floats($"grad.base_model.model.{name}"), gradient, name);
        }
    }

    /// <summary>In bfloat16 the CPU, which rounds the same operands, is the measure: what rounding alone does to a gradient differs from one to the next.</summary>
    [FastFact]
    public void Backward_GivenPeftsAdapterInBFloat16_ShouldHaveTheGradientsOfTheCpu()
    {
        (float wanted, IReadOnlyDictionary<string, float[]> expected) = Gradients(Cpu, Precision.BFloat16);

        (float loss, IReadOnlyDictionary<string, float[]> gradients) = Gradients(Gpu, Precision.BFloat16);

        Assert.Equal(wanted, loss, BFloat16Error * wanted);
        Assert.All(gradients, gradient => Assert.InRange(Distance(expected[gradient.Key], gradient.Value), 0, BFloat16Error));
    }

    [Theory]
    [FastData("llama-mha--lora", 3)]
    public void Step_GivenAGoldenRun_ShouldBeginItsTrajectory(string name, int steps) => CheckTrajectory(name, steps);

    [Theory(Explicit = true)]
    [Trait("Category", "Slow")]
    [FastData("llama-mha--lora")]
    [FastData("qwen2--lora")]
    public void Step_GivenAGoldenRun_ShouldFollowItsTrajectory(string name) => CheckTrajectory(name, 20);

    private static string AdapterFolder => RepositoryPaths.Fixture("models", "lora", "llama-mha--lora");

    private static (float Loss, IReadOnlyDictionary<string, float[]> Gradients) Gradients(IBackend backend, Precision precision)
    {
        using GoldenModel golden = new("llama-mha");
        LoraInjection.Load(golden.Model, AdapterFolder, trainable: true);
        golden.Model.MoveTo(backend);
        using ComputeScope scope = new(backend, recordGradients: true) { Precision = precision };
        Tensor loss = golden.Loss(scope, checkpoint: true);
        scope.Backward(loss);
        return (loss.ToArray()[0], golden.Model.TrainableParameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Value.Grad!.ToArray()));
    }

    private static double Distance(float[] expected, float[] actual) =>
        Math.Sqrt(expected.Zip(actual, (e, a) => ((double)e - a) * ((double)e - a)).Sum() / expected.Sum(e => (double)e * e));

    private void CheckForward(string name)
    {
        using GoldenModel golden = new(name);
        golden.Model.MoveTo(Gpu);
        using ComputeScope scope = new(Gpu);

        Tensor hidden = golden.Model.Forward(scope, golden.Input(scope));

        golden.Tolerances.Check("hidden.norm", golden.Values.Floats("hidden.norm"), hidden.ToArray());
        golden.Tolerances.Check("logits", golden.Values.Floats("logits"), golden.Model.Logits(scope, hidden).ToArray());
    }

    private void CheckTrajectory(string name, int steps)
    {
        GoldenTolerances tolerances = GoldenTolerances.Read(Path.Combine(GoldenTrajectoryTests.Folder(name), "golden.json"));
        double[] Expected(string key) => [.. tolerances.Root.GetProperty(key).EnumerateArray().Select(value => value.GetDouble())];

        (StepMetrics[] taken, _) = GoldenTrajectoryTests.Train(name, Gpu, Precision.Float32, checkpointing: true, steps);

        foreach ((StepMetrics step, (double loss, double norm)) in taken.Zip(Expected("loss").Zip(Expected("grad_norm"))))
        {
            tolerances.Check("loss", loss, step.Loss);
            tolerances.Check("grad_norm", norm, step.GradNorm);
        }
    }
}
