namespace PureQLora.Core.Tests;

/// <summary>Causal attention written down in float64, scores and all; its backward is checked by differences in the tests.</summary>
internal sealed record AttentionReference(int Batch, int Sequence, int Heads, int KeyValueHeads, int HeadDim, int Capacity)
{
    public int KeyCount { get; init; } = Capacity;

    public int Window { get; init; } = int.MaxValue;

    /// <summary>[batch, SegmentStride], or null.</summary>
    public int[]? Segments { get; init; }

    public int SegmentStride { get; init; } = Capacity;

    public double Scale { get; init; } = 1 / Math.Sqrt(HeadDim);

    public Shape QueryShape => new(Batch, Sequence, Heads, HeadDim);

    public Shape KeyShape => new(Batch, Capacity, KeyValueHeads, HeadDim);

    public AttentionMask Mask => new()
    {
        Window = Window == int.MaxValue ? null : Window,
        KeyCount = KeyCount == Capacity ? null : KeyCount,
        Segments = Segments is null ? null : Tensor.From(Segments, new Shape(Batch, SegmentStride)),
    };

    public double[] Forward(double[] q, double[] k, double[] v)
    {
        double[] y = new double[q.Length];
        ForEachQuery(q, k, (row, head, p, keys) =>
        {
            for (int j = 0; j < p.Length; j++)
            {
                for (int d = 0; d < HeadDim; d++)
                {
                    y[row + d] += p[j] * v[keys[j] + d];
                }
            }
        });
        return y;
    }

    public (double[] Dq, double[] Dk, double[] Dv) Backward(double[] dy, double[] q, double[] k, double[] v)
    {
        (double[] dq, double[] dk, double[] dv) = (new double[q.Length], new double[k.Length], new double[v.Length]);
        ForEachQuery(q, k, (row, head, p, keys) =>
        {
            double[] dp = [.. keys.Select(key => Dot(dy, row, v, key))];
            double mean = p.Zip(dp, (a, b) => a * b).Sum();
            for (int j = 0; j < p.Length; j++)
            {
                double ds = p[j] * (dp[j] - mean) * Scale;
                for (int d = 0; d < HeadDim; d++)
                {
                    dq[row + d] += ds * k[keys[j] + d];
                    dk[keys[j] + d] += ds * q[row + d];
                    dv[keys[j] + d] += p[j] * dy[row + d];
                }
            }
        });
        return (dq, dk, dv);
    }

    private void ForEachQuery(double[] q, double[] k, Action<int, int, double[], int[]> visit)
    {
        for (int b = 0; b < Batch; b++)
        {
            for (int i = 0; i < Sequence; i++)
            {
                int own = KeyCount - Sequence + i;
                int[] visible = [.. Enumerable.Range(0, own + 1).Where(j =>
                    own - j < Window && (Segments is null || Segments[(b * SegmentStride) + j] == Segments[(b * SegmentStride) + own]))];
                for (int h = 0; h < Heads; h++)
                {
                    int row = ((((b * Sequence) + i) * Heads) + h) * HeadDim;
                    int[] keys = [.. visible.Select(j => ((((b * Capacity) + j) * KeyValueHeads) + (h / (Heads / KeyValueHeads))) * HeadDim)];
                    double[] scores = [.. keys.Select(key => Dot(q, row, k, key) * Scale)];
                    double maximum = scores.Max();
                    double[] p = [.. scores.Select(s => Math.Exp(s - maximum))];
                    double sum = p.Sum();
                    visit(row, h, [.. p.Select(value => value / sum)], keys);
                }
            }
        }
    }

    private double Dot(double[] a, int i, double[] b, int j)
    {
        double sum = 0;
        for (int d = 0; d < HeadDim; d++)
        {
            sum += a[i + d] * b[j + d];
        }

        return sum;
    }
}
