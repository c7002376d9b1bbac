namespace PureQLora.Training;

/// <summary>What one forward pass takes: padded rows, or one row of sequences laid end to end.</summary>
public sealed class TokenBatch
{
    private TokenBatch(int rows, int columns)
    {
        (Rows, Columns) = (rows, columns);
        InputIds = new int[rows * columns];
        Labels = new int[rows * columns];
        Positions = new int[rows * columns];
        Labels.AsSpan().Fill(TrainingSample.NoLabel);
    }

    /// <summary>Number of rows.</summary>
    public int Rows { get; }

    /// <summary>Tokens of a row.</summary>
    public int Columns { get; }

    /// <summary>Token ids.</summary>
    public int[] InputIds { get; }           // [rows, columns]

    /// <summary>Labels, not shifted; −100 where nothing is learnt, on padding and on the first token of every sequence of a padding-free row.</summary>
    public int[] Labels { get; }             // [rows, columns]

    /// <summary>Position of every token in its own sequence; padding goes on counting.</summary>
    public int[] Positions { get; }          // [rows, columns]

    /// <summary>Length of every sequence, without padding.</summary>
    public required IReadOnlyList<int> SequenceLengths { get; init; }

    /// <summary>Whether the sequences lie end to end in one row; attention must then stay inside each.</summary>
    public bool IsPaddingFree { get; private init; }

    /// <summary>Longest sequence.</summary>
    public int MaxSequenceLength => SequenceLengths.Max();

    /// <summary>Predictions that the loss counts.</summary>
    public long SupervisedTokens { get; private init; }

    /// <summary>Start of every sequence in a padding-free row, and the row's length: 0, n₀, n₀ + n₁, …</summary>
    public int[] SequenceStarts()
    {
        int[] starts = new int[SequenceLengths.Count + 1];
        for (int i = 0; i < SequenceLengths.Count; i++)
        {
            starts[i + 1] = starts[i] + SequenceLengths[i];
        }

        return starts;
    }

    /// <summary>1 for tokens, 0 for padding.</summary>
    public int[] AttentionMask()             // [rows, columns]
    {
        int[] mask = new int[InputIds.Length];
        if (IsPaddingFree)
        {
            mask.AsSpan().Fill(1);
            return mask;
        }

        for (int row = 0; row < Rows; row++)
        {
            mask.AsSpan(row * Columns, SequenceLengths[row]).Fill(1);
        }

        return mask;
    }

    /// <summary>One sample a row, padded at the end to the longest.</summary>
    /// <param name="samples">At least one sample.</param>
    /// <param name="padId">Id of padding; any valid id, its label is −100.</param>
    /// <param name="multipleOf">The number of columns is rounded up to a multiple of this.</param>
    public static TokenBatch Padded(IReadOnlyList<TrainingSample> samples, int padId, int multipleOf = 1)
    {
        ArgumentOutOfRangeException.ThrowIfZero(samples.Count);
        ArgumentOutOfRangeException.ThrowIfLessThan(multipleOf, 1);
        int longest = samples.Max(sample => sample.Length);
        int columns = (longest + multipleOf - 1) / multipleOf * multipleOf;
        TokenBatch batch = new(samples.Count, columns)
        {
            SequenceLengths = [.. samples.Select(sample => sample.Length)],
            SupervisedTokens = samples.Sum(sample => (long)sample.SupervisedTokens),
        };
        batch.InputIds.AsSpan().Fill(padId);
        for (int row = 0; row < samples.Count; row++)
        {
            samples[row].InputIds.CopyTo(batch.InputIds, row * columns);
            samples[row].Labels.CopyTo(batch.Labels, row * columns);
            Count(batch.Positions.AsSpan(row * columns, columns));
        }

        return batch;
    }

    /// <summary>All samples end to end in one row.</summary>
    /// <param name="samples">At least one sample.</param>
    public static TokenBatch PaddingFree(IReadOnlyList<TrainingSample> samples) =>
        Concatenated([.. samples.Select((sample, index) => new PackedSegment(index, 0, sample.Length))], samples);

    /// <summary>A packed row of <see cref="SequencePacker"/>.</summary>
    /// <param name="row">Its segments.</param>
    /// <param name="samples">All samples, as their lengths were given to the packer.</param>
    public static TokenBatch Packed(IReadOnlyList<PackedSegment> row, IReadOnlyList<TrainingSample> samples) => Concatenated(row, samples);

    private static TokenBatch Concatenated(IReadOnlyList<PackedSegment> segments, IReadOnlyList<TrainingSample> samples)
    {
        ArgumentOutOfRangeException.ThrowIfZero(segments.Count);
        int columns = segments.Sum(segment => segment.Count);
        long supervised = segments.Sum(segment => (long)segment.Count - 1 - samples[segment.Sample].Labels.AsSpan(segment.Start + 1, segment.Count - 1).Count(TrainingSample.NoLabel));
        TokenBatch batch = new(1, columns)
        {
            SequenceLengths = [.. segments.Select(segment => segment.Count)],
            IsPaddingFree = true,
            SupervisedTokens = supervised,
        };
        int at = 0;
        foreach (PackedSegment segment in segments)
        {
            TrainingSample sample = samples[segment.Sample];
            sample.InputIds.AsSpan(segment.Start, segment.Count).CopyTo(batch.InputIds.AsSpan(at));
            sample.Labels.AsSpan(segment.Start, segment.Count).CopyTo(batch.Labels.AsSpan(at));
            Count(batch.Positions.AsSpan(at, segment.Count));

            // Its prediction would come from the last token of the sequence before.
            batch.Labels[at] = TrainingSample.NoLabel;
            at += segment.Count;
        }

        return batch;
    }

    private static void Count(Span<int> positions)
    {
        for (int i = 0; i < positions.Length; i++)
        {
            positions[i] = i;
        }
    }
}
