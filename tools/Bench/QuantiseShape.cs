using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>Dimensions of a model whose quantisation is measured, and its arithmetic.</summary>
/// <param name="Name">As <c>--shape</c> has it.</param>
/// <param name="Hidden">Hidden size.</param>
/// <param name="Intermediate">Feed-forward size.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key and value heads.</param>
/// <param name="Vocabulary">Rows of the embedding.</param>
/// <param name="Layers">Blocks of the whole model.</param>
internal sealed record QuantiseShape(string Name, int Hidden, int Intermediate, int Heads, int KeyValueHeads, int Vocabulary, int Layers)
{
    /// <summary>The shapes that can be named.</summary>
    public static IReadOnlyList<QuantiseShape> All { get; } =
    [
        new("tinyllama", 2048, 5632, 32, 4, 32000, 22),
        new("llama2-7b", 4096, 11008, 32, 32, 32000, 32),
        new("tiny", 192, 512, 6, 6, 768, 6),
    ];

    private double KeyValueSize => (double)Hidden / Heads * KeyValueHeads;

    /// <summary>Weights of q, k, v, o, gate and up of one block.</summary>
    private double WeightsToDown => ((2.0 * Hidden) + (2 * KeyValueSize) + (2.0 * Intermediate)) * Hidden;

    /// <summary>The configuration of a model with so many blocks.</summary>
    public LlamaConfig Config(int blocks, int length) => new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = Vocabulary,
        HiddenSize = Hidden,
        IntermediateSize = Intermediate,
        Layers = blocks,
        Heads = Heads,
        KeyValueHeads = KeyValueHeads,
        HeadDim = Hidden / Heads,
        RmsNormEpsilon = 1e-5,
        MaxPositions = Math.Max(2048, length),
        SlidingWindows = new int?[blocks],
    };

    /// <summary>
    /// Floating-point operations of one stage for one block, a multiply-add counted as two, float64 like float32. With T tokens in
    /// samples of L, P weights, n inputs of a layer and m outputs:
    /// <list type="bullet">
    /// <item>calibration: 2·T·P without down, and 2·T·(L + 1)·hidden for attention;</item>
    /// <item>Hessian: T·n·(n + 1) for each of the four inputs, the upper triangle alone;</item>
    /// <item>rounding to nearest with its loss: m·n² a layer, half of the quadratic form;</item>
    /// <item>factorisation: ⅓·n³ for the Cholesky factor and as much for its inverse, for each input;</item>
    /// <item>columns: m·n² a layer;</item>
    /// <item>output: 2·T·P and attention again.</item>
    /// </list>
    /// </summary>
    public double Operations(QuantizationStage stage, double tokens, double length)
    {
        double attention = 2 * tokens * (length + 1) * Hidden;
        double down = (double)Hidden * Intermediate;
        double updates = (WeightsToDown * Hidden) + (down * Intermediate);
        return stage switch
        {
            QuantizationStage.Calibration => (2 * tokens * WeightsToDown) + attention,
            QuantizationStage.Hessian => tokens * ((3.0 * Hidden * (Hidden + 1)) + ((double)Intermediate * (Intermediate + 1))),
            QuantizationStage.Factorisation => 2.0 / 3 * ((3 * Math.Pow(Hidden, 3)) + Math.Pow(Intermediate, 3)),
            QuantizationStage.Nearest or QuantizationStage.Columns => updates,
            QuantizationStage.Output => (2 * tokens * (WeightsToDown + down)) + attention,
            _ => 0,
        };
    }
}
