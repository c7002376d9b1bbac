namespace PureQLora.Training;

/// <summary>Which samples make which forward pass: one sample a row, or packed rows; taken in the order of <see cref="SampleOrder"/>.</summary>
public sealed class BatchPlan
{
    private readonly IReadOnlyList<TrainingSample> _samples;
    private readonly IReadOnlyList<IReadOnlyList<PackedSegment>>? _rows;

    /// <summary>Plans the passes over some samples.</summary>
    /// <param name="samples">At least one.</param>
    /// <param name="packedLength">Length of packed rows, or null for one sample a row.</param>
    /// <param name="packing">How rows are filled.</param>
    public BatchPlan(IReadOnlyList<TrainingSample> samples, int? packedLength = null, PackingStrategy packing = PackingStrategy.BestFit)
    {
        ArgumentNullException.ThrowIfNull(samples);
        ArgumentOutOfRangeException.ThrowIfZero(samples.Count);
        _samples = samples;
        _rows = packedLength is { } length ? SequencePacker.Pack([.. samples.Select(sample => sample.Length)], length, packing) : null;
    }

    /// <summary>Samples, or packed rows, of one pass over the data.</summary>
    public int Rows => _rows?.Count ?? _samples.Count;

    /// <summary>Tokens of the largest forward pass of a training.</summary>
    /// <param name="options">Steps, batch and order; without steps, of one pass over the data.</param>
    internal int LargestPass(TrainingOptions options)
    {
        SampleOrder order = new(Rows, options.Seed, options.Shuffle);
        int passes = checked(options.TotalSteps(Rows) * options.Accumulation);
        return Enumerable.Range(0, passes).Max(_ => Enumerable.Range(0, options.BatchSize).Sum(_ => Tokens(order.Next())));
    }

    private int Tokens(int row) => _rows is null ? _samples[row].Length : _rows[row].Sum(segment => segment.Count);

    /// <summary>Lays a row into a batch.</summary>
    internal void Fill(MicroBatch batch, int row)
    {
        if (_rows is null)
        {
            batch.Add(_samples[row], 0, _samples[row].Length);
            return;
        }

        IReadOnlyList<PackedSegment> segments = _rows[row];
        for (int i = 0; i < segments.Count; i++)
        {
            batch.Add(_samples[segments[i].Sample], segments[i].Start, segments[i].Count);
        }
    }
}
