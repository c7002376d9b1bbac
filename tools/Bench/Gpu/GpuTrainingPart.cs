using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>LoRA steps on random 4-bit weights, beside PEFT in bfloat16; both with checkpointing.</summary>
/// <param name="name">As the command line has it.</param>
/// <param name="shape">Of the model.</param>
/// <param name="seq">Tokens of a step.</param>
/// <param name="limit">Seconds it may take.</param>
internal sealed class GpuTrainingPart(string name, string shape, int seq, int limit) : GpuPart(name, $"Training, {shape}, {seq} tokens, rank 8 on q, k, v, o", limit)
{
    private const int Steps = 5;
    private const int GroupSize = 128;

    /// <inheritdoc/>
    public override void Run(GpuWork work)
    {
        LlamaConfig config = ModelShape.Find(work.Quick ? "tiny" : shape);
        TrainingBenchOptions options = new(work.Quick ? 16 : seq, 8, ["q_proj", "k_proj", "v_proj", "o_proj"], Precision.BFloat16);
        (double ours, long memory, double flops) = Ours(work, config, options);
        string theirName = "";
        long? theirMemory = null;
        double? theirs = work.Ask("training", peer =>
        {
            theirName = peer.PrepareTraining(config, options);
            double best = double.PositiveInfinity;
            for (int step = 0; step <= Steps; step++)
            {
                best = Math.Min(best, peer.TrainingStep());
            }

            theirMemory = peer.PeakBytes();
            return best;
        });
        Add("PureQLora, int4", ours, memory);
        if (theirs is { } seconds)
        {
            Add($"PyTorch bfloat16, {theirName}", seconds, theirMemory);
            work.Report(GpuRow.Of("PureQLora beside it", ("% of its tokens a second", 100 * seconds / ours), ("% of its memory", Percent((double)memory / theirMemory))));
        }

        void Add(string who, double step, long? peak) => work.Report(GpuRow.Of(
            who, ("tokens/s", options.Seq / step), ("ms a step", 1e3 * step), ("TFLOP/s", flops / step / 1e12), ("peak MiB", peak / (double)(1 << 20))));
    }

    private static (double Seconds, long Memory, double Flops) Ours(GpuWork work, LlamaConfig config, TrainingBenchOptions options)
    {
        using LlamaModel model = new(config, new RandomQuantizedWeights(config, GroupSize, seed: 1));
        model.MoveTo(work.Backend);
        work.Report(GpuRow.Of($"{config.Layers} layers of {config.HiddenSize} on the GPU", ("peak MiB", work.Backend.MemoryPeak / (double)(1 << 20))));
        using TrainingSession session = new(model, work.Backend, options);
        double best = double.PositiveInfinity;
        for (int step = 0; step <= (work.Quick ? 0 : Steps); step++)
        {
            ToolProgram.Cancellation.ThrowIfCancellationRequested();
            best = Math.Min(best, session.Step());
        }

        if (!double.IsFinite(session.Loss))
        {
            throw new InvalidOperationException($"The loss is {session.Loss}.");
        }

        work.Report(GpuRow.Of("last step", ("loss", session.Loss), ("managed bytes", session.ManagedBytes)));
        return (best, work.Backend.MemoryPeak, session.Arithmetic.Total);
    }
}
