using System.Text;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>All samples of a run, tokenised.</summary>
public sealed class TrainingData
{
    private TrainingData(IReadOnlyList<TrainingSample> samples, int dropped)
    {
        (Samples, Dropped) = (samples, dropped);
        Tokens = samples.Sum(sample => (long)sample.Length);
        SupervisedTokens = samples.Sum(sample => (long)sample.SupervisedTokens);
    }

    /// <summary>The samples in the order of the data.</summary>
    public IReadOnlyList<TrainingSample> Samples { get; }

    /// <summary>Examples left out because truncation left nothing to learn.</summary>
    public int Dropped { get; }

    /// <summary>Tokens of all samples.</summary>
    public long Tokens { get; }

    /// <summary>Predictions that the loss counts.</summary>
    public long SupervisedTokens { get; }

    /// <summary>Tokenises examples, several at once.</summary>
    /// <param name="examples">The examples, in order.</param>
    /// <param name="encoder">What makes samples of them; its tokenizer is shared by the threads.</param>
    /// <param name="threads">Threads that work at once; 0 takes one a processor. The result does not depend on it.</param>
    /// <exception cref="UserErrorException">An example cannot be used, or none is left.</exception>
    public static TrainingData Create(IEnumerable<TrainingExample> examples, SampleEncoder encoder, int threads = 0)
    {
        List<TrainingSample> samples = [];
        int dropped = 0;
        foreach (IReadOnlyList<TrainingSample> encoded in OrderedParallel.Map(examples, threads, encoder.Encode))
        {
            samples.AddRange(encoded);
            dropped += encoded.Count == 0 ? 1 : 0;
        }

        return samples.Count > 0
            ? new(samples, dropped)
            : throw new UserErrorException($"No sample is left: in all {dropped} of them the prompt alone fills the maximum length of {encoder.MaxLength} tokens. Raise it.");
    }

    /// <summary>A sample as text with its mask: what the model only reads stands between ⟦ and ⟧.</summary>
    /// <param name="sample">The sample.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    public static string Render(TrainingSample sample, ITokenizer tokenizer)
    {
        StringBuilder text = new();
        for (int start = 0, end; start < sample.Length; start = end)
        {
            bool masked = sample.Labels[start] == TrainingSample.NoLabel;
            for (end = start + 1; end < sample.Length && (sample.Labels[end] == TrainingSample.NoLabel) == masked; end++)
            {
            }

            string run = tokenizer.Decode(sample.InputIds.AsSpan(start..end));
            text.Append(masked ? $"⟦{run}⟧" : run);
        }

        return text.ToString();
    }
}
