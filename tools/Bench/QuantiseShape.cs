using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>The arithmetic of quantising a model.</summary>
/// <param name="config">The whole model.</param>
internal sealed class QuantiseShape(LlamaConfig config)
{
    /// <summary>Blocks of the whole model.</summary>
    public int Layers => config.Layers;

    private int Hidden => config.HiddenSize;

    private int Intermediate => config.IntermediateSize;

    private double KeyValueSize => (double)config.HeadDim * config.KeyValueHeads;

    /// <summary>Weights of q, k, v, o, gate and up of one block.</summary>
    private double WeightsToDown => ((2.0 * Hidden) + (2 * KeyValueSize) + (2.0 * Intermediate)) * Hidden;

    /// <summary>The same model with fewer blocks.</summary>
    public LlamaConfig Config(int blocks) => config with { Layers = blocks, SlidingWindows = new int?[blocks] };

    /// <summary>
    /// Floating-point operations of one stage for one block, a multiply-add counted as two, float64 like float32. With T tokens in
    /// samples of L, P weights, n inputs of a layer and m outputs:
    /// <list type="bullet">
    /// <item>calibration: 2·T·P without down, and 2·T·(L + 1)·hidden for attention;</item>
    /// <item>Hessian: T·n·(n + 1) for each of the four inputs, the upper triangle alone;</item>
    /// <item>rounding to nearest with its loss: m·n² a layer, half of the quadratic form;</item>
    /// <item>factorisation: ⅓·n³ for the Cholesky factor and as much for its inverse, for each input;</item>
    /// <item>columns: m·n² a layer;</item>
    /// <item>output: 2·T·P and attention again, of which only the feed-forward network where stages are taken in turn;</item>
    /// <item>unquantised model: 2·T·P and attention;</item>
    /// <item>deviations: 2·T·n² for each of the four inputs, and 2·T·m·n for o and down;</item>
    /// <item>targets: 4·m·n² a layer;</item>
    /// <item>descent: as many sweeps as it takes, so not counted.</item>
    /// </list>
    /// </summary>
    public double Operations(QuantizationStage stage, GptqOptions options, double tokens, double length)
    {
        double attention = 2 * tokens * (length + 1) * Hidden;
        double down = (double)Hidden * Intermediate;
        double squares = (3.0 * Hidden * Hidden) + ((double)Intermediate * Intermediate);
        bool inStages = (options.Refinements & Refinements.Sequential) != 0;
        double updates = (WeightsToDown * Hidden) + (down * Intermediate);
        return stage switch
        {
            QuantizationStage.Calibration => (2 * tokens * WeightsToDown) + attention,
            QuantizationStage.Hessian => tokens * ((3.0 * Hidden * (Hidden + 1)) + ((double)Intermediate * (Intermediate + 1))),
            QuantizationStage.Factorisation => 2.0 / 3 * ((3 * Math.Pow(Hidden, 3)) + Math.Pow(Intermediate, 3)),
            QuantizationStage.Nearest or QuantizationStage.Columns => updates,
            QuantizationStage.Output when inStages => 2 * tokens * 3 * down,
            QuantizationStage.Unquantized => (2 * tokens * (WeightsToDown + down)) + attention,
            QuantizationStage.Deviation => 2 * tokens * (squares + ((double)Hidden * Hidden) + down),
            QuantizationStage.Target => 4 * updates,
            QuantizationStage.Output => (2 * tokens * (WeightsToDown + down)) + attention,
            _ => 0,
        };
    }
}
