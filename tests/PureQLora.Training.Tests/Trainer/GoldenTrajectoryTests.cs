using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>Twenty steps of training, each with two micro-batches of two rows, against float64 truth from PyTorch and PEFT.</summary>
public sealed class GoldenTrajectoryTests
{
    private const int Rows = 2;

    public static TheoryData<string> Runs => ["llama-mha--lora", "llama-mha--linear", "llama-mha--constant-noclip", "qwen2--lora", "llama3-gqa--lora"];

    [Theory]
    [MemberData(nameof(Runs))]
    public void Step_GivenAGoldenRun_ShouldFollowItsTrajectory(string name)
    {
        string golden = Folder(name);
        GoldenTolerances tolerances = GoldenTolerances.Read(Path.Combine(golden, "golden.json"));
        double[] Expected(string key) => [.. tolerances.Root.GetProperty(key).EnumerateArray().Select(value => value.GetDouble())];
        int[] supervised = GoldenTensors.Read(Path.Combine(golden, "golden.safetensors")).Ints("supervised_tokens");

        (StepMetrics[] steps, Dictionary<string, float[]> final) = Train(name, checkpointing: true, threads: 2);

        (double[] losses, double[] norms, double[] rates) = (Expected("loss"), Expected("grad_norm"), Expected("lr"));
        Assert.Equal(20, losses.Length);
        for (int i = 0; i < losses.Length; i++)
        {
            Assert.Equal(i + 1, steps[i].Step);
            Assert.Equal(supervised[i], steps[i].SupervisedTokens);
            Assert.Equal(rates[i], steps[i].LearningRate, 1e-15);
            tolerances.Check("loss", losses[i], steps[i].Loss);
            tolerances.Check("grad_norm", norms[i], steps[i].GradNorm);
        }

        GoldenTensors expected = GoldenTensors.Read(Path.Combine(golden, "final", "adapter_model.safetensors"));
        Assert.Equal(expected.Names.Order(StringComparer.Ordinal), final.Keys.Order(StringComparer.Ordinal));
        (double squares, long count) = (0, 0);
        foreach ((string tensor, float[] values) in final)
        {
            float[] reference = expected.Floats(tensor);
            tolerances.Check("final_adapter", reference, values, tensor);
            squares += reference.Zip(values, (e, a) => ((double)e - a) * ((double)e - a)).Sum();
            count += values.Length;
        }

        tolerances.Check("final_adapter_rms", 0, Math.Sqrt(squares / count));
    }

    [Theory]
    [InlineData("llama-mha--lora")]
    [InlineData("qwen2--lora")]
    public void Step_GivenAnyNumberOfThreadsAndCheckpointing_ShouldGiveTheSameBits(string name)
    {
        (StepMetrics[] steps, Dictionary<string, float[]> final) = Train(name, checkpointing: false, threads: 1);
        foreach ((bool checkpointing, int threads) in new[] { (false, 2), (true, 1), (true, 2), (true, 3) })
        {
            (StepMetrics[] otherSteps, Dictionary<string, float[]> other) = Train(name, checkpointing, threads);
            Assert.Equal(steps.Select(step => (step.Loss, step.GradNorm)), otherSteps.Select(step => (step.Loss, step.GradNorm)));
            Assert.All(final, tensor => Assert.Equal(tensor.Value, other[tensor.Key]));
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData(28)]
    public void Step_GivenSequencesOfAnyLayout_ShouldMatchTheGoldenPackedLoss(int? packedLength)
    {
        GoldenTensors golden = GoldenTensors.Read(RepositoryPaths.Fixture("models", "packing", "golden.safetensors"));
        GoldenTolerances tolerances = GoldenTolerances.Read(RepositoryPaths.Fixture("models", "packing", "golden.json"));
        TrainingSample[] samples = [.. Enumerable.Range(0, 3).Select(i => new TrainingSample(golden.Ints($"sequence.{i}.input_ids"), golden.Ints($"sequence.{i}.labels")))];
        using CpuBackend backend = new(threads: 2);
        using ModelFolder folder = ModelFolder.Open(
            RepositoryPaths.Fixture("models", "llama-mha"), RepositoryPaths.Fixture("models", "lora", "llama-mha--lora"), trainable: true);
        BatchPlan plan = new(samples, packedLength);
        TrainingOptions options = new() { Precision = Precision.Float32, Steps = 1, BatchSize = plan.Rows, Shuffle = false };
        using Trainer trainer = new(folder.Model, backend, plan, options, new LearningRateSchedule { TotalSteps = 1 }, new AdamWOptions());

        StepMetrics step = trainer.Step();

        Assert.Equal(packedLength is null ? 3 : 1, plan.Rows);
        Assert.Equal(28, step.Tokens);
        Assert.Equal(19, step.SupervisedTokens);
        tolerances.Check("loss", tolerances.Root.GetProperty("loss").GetDouble(), step.Loss);
    }

    private static string Folder(string name)
    {
        string folder = RepositoryPaths.Fixture("models", "train", name);
        return Directory.Exists(folder) ? folder : RepositoryPaths.Shared("golden", "models", "train", name);
    }

    private static (StepMetrics[] Steps, Dictionary<string, float[]> Final) Train(string name, bool checkpointing, int threads)
    {
        string golden = Folder(name);
        using CpuBackend backend = new(threads);
        using ModelFolder folder = ModelFolder.Open(
            RepositoryPaths.Fixture("models", name[..name.IndexOf("--", StringComparison.Ordinal)]), Path.Combine(golden, "initial"), trainable: true);
        JsonElement settings = GoldenTolerances.Read(Path.Combine(golden, "golden.json")).Root.GetProperty("settings");
        double Setting(string key) => settings.GetProperty(key).GetDouble();
        int total = settings.GetProperty("steps").GetInt32();
        TrainingOptions options = new()
        {
            Precision = Precision.Float32,
            Steps = total,
            BatchSize = Rows,
            Accumulation = settings.GetProperty("micro_batches").GetInt32(),
            MaxGradNorm = settings.GetProperty("max_grad_norm").ValueKind == JsonValueKind.Null ? 0 : Setting("max_grad_norm"),
            Checkpointing = checkpointing,
            Shuffle = false,
        };
        LearningRateSchedule schedule = new()
        {
            Kind = LearningRateSchedule.ParseKind(settings.GetProperty("schedule").GetString()!),
            BaseRate = Setting("lr"),
            WarmupSteps = settings.GetProperty("warmup_steps").GetInt32(),
            TotalSteps = total,
        };
        AdamWOptions optimizer = new()
        {
            Beta1 = settings.GetProperty("betas")[0].GetDouble(),
            Beta2 = settings.GetProperty("betas")[1].GetDouble(),
            Epsilon = Setting("eps"),
            WeightDecay = Setting("weight_decay"),
        };
        using Trainer trainer = new(folder.Model, backend, new BatchPlan(Samples(golden)), options, schedule, optimizer);
        StepMetrics[] steps = [.. Enumerable.Range(0, total).Select(_ => trainer.Step())];
        return (steps, folder.Model.TrainableParameters.ToDictionary(parameter => $"base_model.model.{parameter.Name}", parameter => parameter.Value.ToArray()));
    }

    private static TrainingSample[] Samples(string golden)
    {
        GoldenTensors tensors = GoldenTensors.Read(Path.Combine(golden, "golden.safetensors"));
        int length = (int)tensors.Shape("input_ids")[3];
        return [.. tensors.Ints("input_ids").Chunk(length).Zip(tensors.Ints("labels").Chunk(length), (ids, labels) => new TrainingSample(ids, labels))];
    }
}
