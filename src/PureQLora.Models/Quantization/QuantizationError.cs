using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>What quantising has changed of a weight.</summary>
internal static class QuantizationError
{
    /// <summary>‖Q − W‖ / ‖W‖ over all weights; 0 where all are 0.</summary>
    /// <param name="weights">W, row-major. [outDim, inDim]</param>
    /// <param name="matrix">Q.</param>
    public static double Relative(ReadOnlySpan<float> weights, QuantizedMatrix matrix)
    {
        float[] row = new float[matrix.InDim];
        (double error, double norm) = (0, 0);
        for (int i = 0; i < matrix.OutDim; i++)
        {
            matrix.DequantizeRow(i, row);
            ReadOnlySpan<float> expected = weights.Slice(i * row.Length, row.Length);
            for (int j = 0; j < row.Length; j++)
            {
                double difference = (double)row[j] - expected[j];
                error += difference * difference;
                norm += (double)expected[j] * expected[j];
            }
        }

        return norm > 0 ? Math.Sqrt(error / norm) : 0;
    }
}
