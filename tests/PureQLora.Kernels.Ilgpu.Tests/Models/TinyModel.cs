using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Kernels.Tests;

/// <summary>Two layers with grouped queries, weights of 4 bits in groups of 32 and adapters that already say something on q, v and down.</summary>
internal static class TinyModel
{
    public const int Vocabulary = 80;

    public const int MaxPositions = 24;

    private static readonly LlamaConfig Config = new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = Vocabulary,
        HiddenSize = 64,
        IntermediateSize = 96,
        Layers = 2,
        Heads = 4,
        KeyValueHeads = 2,
        HeadDim = 16,
        RmsNormEpsilon = 1e-5,
        MaxPositions = MaxPositions,
        SlidingWindows = [null, 16],
        QueryKeyValueBias = true,
    };

    /// <summary>The adapters.</summary>
    /// <param name="dropout">Of their inputs.</param>
    public static LoraConfig Lora(double dropout = 0) => new() { Rank = 4, Dropout = dropout, TargetModules = ["q_proj", "v_proj", "down_proj"] };

    /// <summary>The same weights every time.</summary>
    /// <param name="dropout">Of the adapters.</param>
    public static LlamaModel Create(double dropout = 0)
    {
        LlamaModel model = new(Config, new RandomWeights(Config, seed: 1, deviation: 0.2f));
        GptqOptions options = new() { GroupSize = 32 };
        int seed = 0;
        foreach (LinearLayer layer in model.Linears)
        {
            layer.ReplaceWeight(new WeightMatrix(RoundToNearestQuantizer.Quantize(layer.Weight.Dense!.ToArray(), layer.Weight.OutDim, options, layer.Name).ToMatrix()));
            layer.Bias?.CopyFrom(Seeded.Floats((int)layer.Bias.Shape.Count, ++seed));
        }

        LoraInjection.Inject(model, Lora(dropout), seed: 2);
        foreach (LinearLayer layer in model.Linears)
        {
            layer.Adapter?.B.CopyFrom(Array.ConvertAll(Seeded.Floats((int)layer.Adapter.B.Shape.Count, ++seed), value => 0.1f * value));
        }

        return model;
    }

    /// <summary>The same in full precision with norms of queries and keys, its embedding as the head, all of it trainable.</summary>
    public static LlamaModel CreateTrainable()
    {
        LlamaConfig config = Config with { QueryKeyNorm = true, TieWordEmbeddings = true };
        LlamaModel model = new(config, new RandomWeights(config, seed: 1, deviation: 0.2f));
        model.MakeTrainable();
        return model;
    }

    /// <summary>Reproducible token ids.</summary>
    public static int[] Ids(int count, int seed) => Array.ConvertAll(Seeded.Floats(count, seed), value => (int)((value + 1) / 2 * Vocabulary));
}
