using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>The plan of a run on a device: refused before anything is computed where it does not fit.</summary>
/// <param name="Training">What a step takes.</param>
/// <param name="BaseFits">Whether the base as it is can be measured on the device.</param>
internal sealed record RunMemory(MemoryPlan Training, bool BaseFits)
{
    private const int ShortestLength = 32;

    /// <summary>Plans a run, tells the plan, and refuses it where it does not fit.</summary>
    /// <param name="device">Computes.</param>
    /// <param name="recipe">With its precision decided.</param>
    /// <param name="opened">The base.</param>
    /// <param name="data">Lengths of samples and prompts.</param>
    /// <param name="observer">Told the plan.</param>
    /// <exception cref="UserErrorException">There is not enough memory; the message tells which setting would do.</exception>
    public static RunMemory Plan(IDeviceBackend device, Recipe recipe, ModelFolder opened, RunData data, IRunObserver observer)
    {
        MemoryPlanner planner = new(device);
        BaseShape shape = BaseShape.Of(opened.Model);
        int longest = data.Training.Samples.Max(sample => sample.Length);
        MemoryPlan Step(Recipe tried) => planner.Training(Trained(shape, tried), tried.Training, PassTokens(tried, longest));
        MemoryPlan training = Step(recipe);
        Tell(planner, training, observer);
        PlanRefusal.Require(planner, training, Ways(recipe, shape, longest).Select(way => (way.Setting, (Func<MemoryPlan>)(() => Step(way.Recipe)))));
        if (data.ProblemSets.Count == 0)
        {
            return new RunMemory(training, BaseFits: true);
        }

        int length = LongestSequence(device, recipe, opened, data);
        int sequences = Math.Min(recipe.Evaluation.BatchSize, data.ProblemSets.Max(set => set.Problems.Count));
        MemoryPlan Answers(BaseShape measured, int batch) => planner.Generation(
            measured with { Trains = true }, recipe.Training.Precision!.Value, batch, length) with { Work = "evaluation" };
        MemoryPlan evaluation = Answers(Trained(shape, recipe), sequences);
        observer.Report("memory", evaluation.ToString());
        PlanRefusal.Require(planner, evaluation,
        [
            .. PlanRefusal.Halves(sequences, 1).Select(batch => ($"evaluation.batchSize={batch}", (Func<MemoryPlan>)(() => Answers(Trained(shape, recipe), batch)))),
            ("evaluation.enabled=false", () => training),
        ]);
        MemoryPlan whole = Answers(shape, sequences);
        if (!planner.Fits(whole))
        {
            observer.Report("note", $"{whole.Work} of the base before quantising would need {ByteSize.Text(whole.Total)}; it is done on the CPU");
        }

        return new RunMemory(training, planner.Fits(whole));
    }

    /// <summary>Plans the training of all weights, tells the plan, and refuses it where it does not fit.</summary>
    /// <param name="device">Computes.</param>
    /// <param name="model">Made trainable.</param>
    /// <param name="options">Of the training.</param>
    /// <param name="passTokens">Tokens of the largest forward pass.</param>
    /// <param name="observer">Told the plan.</param>
    /// <returns>What a step takes.</returns>
    /// <exception cref="UserErrorException">There is not enough memory.</exception>
    public static MemoryPlan PlanPretraining(IDeviceBackend device, LlamaModel model, TrainingOptions options, int passTokens, IRunObserver observer)
    {
        MemoryPlanner planner = new(device);
        MemoryPlan plan = planner.Training(BaseShape.Of(model), options, passTokens) with { Work = "pretraining" };
        Tell(planner, plan, observer);
        PlanRefusal.Require(planner, plan, [], "end what else uses the GPU, take one with more memory, or use --device cpu");
        return plan;
    }

    private static void Tell(MemoryPlanner planner, MemoryPlan plan, IRunObserver observer)
    {
        observer.Report("memory", plan.ToString());
        observer.Report("memory", $"free {ByteSize.Text(planner.Available)}");
    }

    private static BaseShape Trained(BaseShape shape, Recipe recipe) => recipe.Model.Adapter is { } adapter
        ? shape.After(recipe.Quantization).With(PeftCheckpoint.Read(adapter, LlamaTensorNames.LinearLayers(shape.Config)).Config with { Dropout = recipe.Lora.Dropout })
        : shape.After(recipe.Quantization).WithNew(recipe.Lora.ToConfig());

    /// <summary>Tokens of the largest pass: samples are laid end to end.</summary>
    private static int PassTokens(Recipe recipe, int longest) =>
        checked(recipe.Training.BatchSize * (recipe.Data.PackedLength ?? Math.Min(longest, recipe.Data.MaxLength)));

    private static int LongestSequence(IDeviceBackend device, Recipe recipe, ModelFolder opened, RunData data)
    {
        EvaluationOptions options = recipe.Evaluation.ToOptions(recipe.Training.Precision!.Value);
        Gsm8kEvaluator evaluator = new(opened.Model, opened.Tokenizer, device);
        int prompt = data.ProblemSets.Max(set => evaluator.LongestPrompt(set.Problems, options));
        return Math.Min(prompt + options.MaxNewTokens, opened.Model.Config.MaxPositions + 1);
    }

    /// <summary>Single settings that take less memory, the mildest change of each first.</summary>
    private static IEnumerable<(string Setting, Recipe Recipe)> Ways(Recipe recipe, BaseShape shape, int longest)
    {
        (TrainingOptions training, DataRecipe data, QuantizationRecipe quantization) = (recipe.Training, recipe.Data, recipe.Quantization);
        if (!training.Checkpointing)
        {
            yield return ("training.checkpointing=true", recipe with { Training = training with { Checkpointing = true } });
        }

        foreach (int batch in PlanRefusal.Halves(training.BatchSize, 1))
        {
            yield return ($"training.batchSize={batch}", recipe with { Training = training with { BatchSize = batch } });
        }

        foreach (int length in PlanRefusal.Halves(data.PackedLength ?? Math.Min(longest, data.MaxLength), ShortestLength))
        {
            yield return data.PackedLength is null
                ? ($"data.maxLength={length}", recipe with { Data = data with { MaxLength = length } })
                : ($"data.packedLength={length}", recipe with { Data = data with { PackedLength = length } });
        }

        if (recipe.Lora.RankPattern is null && recipe.Model.Adapter is null)
        {
            foreach (int rank in PlanRefusal.Halves(recipe.Lora.Rank, 1))
            {
                yield return ($"lora.rank={rank}", recipe with { Lora = recipe.Lora with { Rank = rank } });
            }
        }

        if (shape.Quantized.Count == 0 && !quantization.Enabled)
        {
            yield return ("quantization.enabled=true", recipe with { Quantization = quantization with { Enabled = true } });
        }
        else if (shape.Quantized.Count == 0 && quantization.Bits == 8)
        {
            yield return ("quantization.bits=4", recipe with { Quantization = quantization with { Bits = 4 } });
        }
    }
}
