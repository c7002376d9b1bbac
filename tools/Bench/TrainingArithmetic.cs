using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>
/// Floating-point operations that a LoRA step with checkpointing needs, a multiply-add counted as two. Every weight of the blocks is
/// used in three passes (forward, its recomputation, input gradient), but down_proj in two, because nobody reads the result of a
/// recomputed block; the head in two as well (its logits are kept or recomputed by choice, not by need). Weights are frozen and have no
/// gradient of their own.
/// </summary>
/// <param name="Weights">2 · tokens · (3 · weights of the blocks − weights of down_proj + 2 · weights of the head): what shares of the peak are of.</param>
/// <param name="Attention">Causal products of queries, keys and values: forward and recomputation once each, backward two and a half times.</param>
/// <param name="Adapters">2 · tokens · weights of the adapters · 4: three passes and their own gradients.</param>
internal readonly record struct TrainingArithmetic(double Weights, double Attention, double Adapters)
{
    private const double AttentionPasses = 4.5;

    /// <summary>All of it.</summary>
    public double Total => Weights + Attention + Adapters;

    /// <summary>The arithmetic of a step over one sequence.</summary>
    /// <param name="model">With its adapters.</param>
    /// <param name="seq">Tokens.</param>
    public static TrainingArithmetic Of(LlamaModel model, int seq)
    {
        LlamaConfig config = model.Config;
        double down = (double)config.Layers * config.IntermediateSize * config.HiddenSize;
        double perToken = (3.0 * ModelShape.BlockWeights(config)) - down + (2.0 * ModelShape.HeadWeights(config));
        double pairs = seq * (seq + 1.0) / 2;
        double attention = AttentionPasses * config.Layers * 2 * 2 * pairs * config.Heads * config.HeadDim;
        double adapters = 2.0 * seq * 4 * model.TrainableParameters.Sum(parameter => (double)parameter.Value.Shape.Count);
        return new TrainingArithmetic(2.0 * seq * perToken, attention, adapters);
    }
}
