using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>New tokens a second on random 4-bit weights, beside PyTorch in bfloat16.</summary>
/// <param name="name">As the command line has it.</param>
/// <param name="shape">Of the model.</param>
/// <param name="limit">Seconds it may take.</param>
internal sealed class GpuDecodePart(string name, string shape, int limit) : GpuPart(name, $"Decoding, {shape}, greedy, after 8 tokens", limit)
{
    private const int GroupSize = 128;
    private const int Turns = 3;

    /// <inheritdoc/>
    public override void Run(GpuWork work)
    {
        LlamaConfig config = ModelShape.Find(work.Quick ? "tiny" : shape);
        int tokens = work.Quick ? 3 : 65;
        int[] batches = work.Quick ? [1] : [1, 8];
        double[] ours = Ours(work, config, batches, tokens);
        for (int i = 0; i < batches.Length; i++)
        {
            int batch = batches[i];
            double? theirs = work.Ask("decoding", peer => peer.Decode(config, batch, tokens));
            double made = batch * (tokens - 1.0);
            work.Report(GpuRow.Of(
                batch == 1 ? "one sequence" : $"{batch} sequences",
                ("tokens/s", made / ours[i]),
                ("PyTorch bfloat16 tokens/s", made / theirs),
                ("% of it", Percent(theirs / ours[i]))));
        }
    }

    private static double[] Ours(GpuWork work, LlamaConfig config, int[] batches, int tokens)
    {
        using LlamaModel model = new(config, new RandomQuantizedWeights(config, GroupSize, seed: 1));
        model.MoveTo(work.Backend);
        GenerationSession session = new(model, work.Backend, Precision.BFloat16);
        double[] best = [.. batches.Select(_ => double.PositiveInfinity)];
        for (int i = 0; i < batches.Length; i++)
        {
            for (int turn = 0; turn <= (work.Quick ? 0 : Turns); turn++)
            {
                ToolProgram.Cancellation.ThrowIfCancellationRequested();
                best[i] = Math.Min(best[i], session.Decode(batches[i], tokens));
            }

            work.Report(GpuRow.Of($"{batches[i]} together", ("tokens/s", batches[i] * (tokens - 1) / best[i]), ("peak MiB", work.Backend.MemoryPeak / (double)(1 << 20))));
        }

        return best;
    }
}
