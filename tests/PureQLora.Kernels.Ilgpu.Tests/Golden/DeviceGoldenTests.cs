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

    [Theory]
    [FastData(Precision.Float32)]
    [FastData(Precision.BFloat16)]
    public void Backward_GivenPeftsAdapter_ShouldHaveItsGradients(Precision precision)
    {
        string folder = RepositoryPaths.Fixture("models", "lora", "llama-mha--lora");
        GoldenTensors values = GoldenTensors.Read(Path.Combine(folder, "golden.safetensors"));
        GoldenTolerances tolerances = GoldenTolerances.Read(Path.Combine(folder, "golden.json"));
        using GoldenModel golden = new("llama-mha");
        LoraInjection.Load(golden.Model, folder, trainable: true);
        golden.Model.MoveTo(Gpu);
        using ComputeScope scope = new(Gpu, recordGradients: true) { Precision = precision };

        Tensor loss = golden.Loss(scope, checkpoint: true);
        scope.Backward(loss);

        double expected = tolerances.Root.GetProperty("loss").GetDouble();
        Assert.Equal(expected, loss.ToArray()[0], precision == Precision.Float32 ? tolerances.Of("loss") : BFloat16Error * expected);
        foreach (NamedParameter parameter in golden.Model.TrainableParameters)
        {
            (float[] wanted, float[] got) = (values.Floats($"grad.base_model.model.{parameter.Name}"), parameter.Value.Grad!.ToArray());
            if (precision == Precision.Float32)
            {
                tolerances.Check("grad", wanted, got, parameter.Name);
            }
            else
            {
                Assert.InRange(Distance(wanted, got), 0, BFloat16Error);
            }
        }
    }

    [Theory]
    [FastData("llama-mha--lora", 3)]
    public void Step_GivenAGoldenRun_ShouldBeginItsTrajectory(string name, int steps) => CheckTrajectory(name, steps);

    [Theory(Explicit = true)]
    [Trait("Category", "Slow")]
    [FastData("llama-mha--lora")]
    [FastData("qwen2--lora")]
    public void Step_GivenAGoldenRun_ShouldFollowItsTrajectory(string name) => CheckTrajectory(name, 20);

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
