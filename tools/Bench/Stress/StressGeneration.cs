using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>Prompts of several lengths continued together, sampled with a fixed seed. Cancelled, each text is a beginning of the whole one.</summary>
/// <param name="config">The model.</param>
/// <param name="groupSize">Weights that share a scale.</param>
/// <param name="precision">Of matrix products.</param>
internal sealed class StressGeneration(LlamaConfig config, int groupSize, Precision precision) : StressUnit($"generation, batch, {precision.Name()}")
{
    private const int Prompts = 5;
    private const int LargestBatch = 3;

    private static readonly SamplingOptions Sampling = new()
    {
        MaxNewTokens = 12, Temperature = 0.9, TopK = 40, TopP = 0.95, RepetitionPenalty = 1.1, Seed = 3,
    };

    /// <inheritdoc/>
    public override StressOutcome Run(CpuBackend backend, CancellationToken cancellationToken)
    {
        using LlamaModel model = new(config, new RandomQuantizedWeights(config, groupSize, seed: 4));
        TextGenerator generator = new(model, new LetterTokenizer(config.VocabularySize), backend) { Precision = precision, MaxBatch = LargestBatch };
        int[][] prompts = [.. Enumerable.Range(0, Prompts).Select(i => RandomIds.Create(1 + (9 * i), config.VocabularySize, (ulong)i))];
        IReadOnlyList<Generation> texts = generator.Generate(prompts, Sampling, cancellationToken);
        bool interrupted = texts.Any(text => text.FinishReason == FinishReason.Cancelled);
        return new StressOutcome([.. texts.Select(text => Describe(text.Ids))], interrupted, !interrupted);
    }

    private static string Describe(IReadOnlyList<int> ids) => string.Concat(ids.Select(id => id.ToString(CultureInfo.InvariantCulture) + ' '));
}
