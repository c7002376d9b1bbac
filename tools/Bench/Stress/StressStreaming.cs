using System.Text;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>One prompt continued greedily, piece by piece; ended early by the token, or by a reader that asks for no more.</summary>
/// <param name="config">The model.</param>
/// <param name="groupSize">Weights that share a scale.</param>
/// <param name="precision">Of matrix products.</param>
/// <param name="abandon">The reader leaves instead of cancelling.</param>
internal sealed class StressStreaming(LlamaConfig config, int groupSize, Precision precision, bool abandon) : StressUnit(
    $"generation, stream, {precision.Name()}{(abandon ? ", reader leaves" : "")}")
{
    private const int PromptLength = 11;
    private const int NewTokens = 24;

    /// <inheritdoc/>
    public override StressOutcome Run(CpuBackend backend, CancellationToken cancellationToken)
    {
        using LlamaModel model = new(config, new RandomQuantizedWeights(config, groupSize, seed: 5));
        LoraInjection.Inject(model, new LoraConfig { Rank = 4, TargetPattern = LoraConfig.AllLinear }, seed: 6);
        TextGenerator generator = new(model, new LetterTokenizer(config.VocabularySize), backend) { Precision = precision };
        SamplingOptions sampling = new() { MaxNewTokens = NewTokens, NoRepeatNgramSize = 2 };
        int[] prompt = RandomIds.Create(PromptLength, config.VocabularySize, seed: 7);
        StringBuilder text = new();
        foreach (string piece in generator.Stream(prompt, sampling, abandon ? CancellationToken.None : cancellationToken))
        {
            text.Append(piece);
            if (abandon && cancellationToken.IsCancellationRequested)
            {
                break;
            }
        }

        // One letter a token, and nothing ends the text before its length.
        bool complete = text.Length == NewTokens;
        return new StressOutcome([text.ToString()], !complete, complete);
    }
}
