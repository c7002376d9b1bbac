using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>
/// Weights of a model whose scores depend on the last token alone, so that a test can write down what it will say: attention and
/// feed-forward add nothing, and the head reads the row of the token from a table.
/// </summary>
internal sealed class ChainWeights(LlamaConfig config, Func<int, int, float> score) : IWeightSource
{
    /// <summary>A model that goes from token i to i + 1 and stays at the last.</summary>
    public static LlamaModel Counting(int vocabulary, int maxPositions = 64, int? bos = null) =>
        Model(vocabulary, (from, to) => to == Math.Min(from + 1, vocabulary - 1) ? 10f : 0f, maxPositions, bos);

    /// <summary>A model with the given scores of token "to" after token "from".</summary>
    public static LlamaModel Model(int vocabulary, Func<int, int, float> score, int maxPositions = 64, int? bos = null)
    {
        LlamaConfig config = new()
        {
            Family = ModelFamily.Llama,
            VocabularySize = vocabulary,
            HiddenSize = 64,
            IntermediateSize = 16,
            Layers = 1,
            Heads = 2,
            KeyValueHeads = 1,
            HeadDim = 8,
            RmsNormEpsilon = 1e-6,
            MaxPositions = maxPositions,
            SlidingWindows = [null],
            BosId = bos,
        };
        return new LlamaModel(config, new ChainWeights(config, score));
    }

    // A token is a unit vector; the norm makes it √hidden times as long.
    public Tensor Tensor(string name) => Matrix(config.VocabularySize, config.HiddenSize, (token, i) => token == i ? 1f : 0f);

    public Tensor Vector(string name) => Core.Tensor.From([.. Enumerable.Repeat(1f, config.HiddenSize)], new Shape(config.HiddenSize));

    public WeightMatrix Weight(string module)
    {
        string name = module[(module.LastIndexOf('.') + 1)..];
        (int outDim, int inDim) = name switch
        {
            "q_proj" => (config.Heads * config.HeadDim, config.HiddenSize),
            "k_proj" or "v_proj" => (config.KeyValueHeads * config.HeadDim, config.HiddenSize),
            "o_proj" => (config.HiddenSize, config.Heads * config.HeadDim),
            "down_proj" => (config.HiddenSize, config.IntermediateSize),
            "lm_head" => (config.VocabularySize, config.HiddenSize),
            _ => (config.IntermediateSize, config.HiddenSize),
        };
        float scale = 1f / MathF.Sqrt(config.HiddenSize);
        return new WeightMatrix(Matrix(outDim, inDim, (to, from) =>
            name == "lm_head" && from < config.VocabularySize ? scale * score(from, to) : 0f));
    }

    private static Tensor Matrix(int rows, int columns, Func<int, int, float> value) => Core.Tensor.From(
        [.. Enumerable.Range(0, rows * columns).Select(i => value(i / columns, i % columns))], new Shape(rows, columns));
}
