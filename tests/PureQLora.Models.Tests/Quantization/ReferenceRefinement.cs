namespace PureQLora.Models.Tests;

/// <summary>The refinements in float64, element by element, without blocks, vectors or threads.</summary>
internal static class ReferenceRefinement
{
    /// <summary>Scale and zero point with the least Σ h (w − q)², tried one after the other.</summary>
    public static (double Scale, int Zero) Grid(double[] weights, double[] importance, GptqOptions options)
    {
        double low = Math.Min(weights.Min(), 0);
        double high = Math.Max(weights.Max(), 0);
        (low, high) = options.Symmetric ? (-Math.Max(-low, high), Math.Max(-low, high)) : (low, high);
        (low, high) = low == high ? (-1, 1) : (low, high);
        (double Scale, int Zero, double Error) best = (0, 0, double.PositiveInfinity);
        for (int i = 0; i <= 16; i++)
        {
            double shrink = 1 - (0.025 * i);
            double scale = (high - low) * shrink / options.Levels;
            scale = options.Float16Scales ? Math.Max((double)(Half)scale, (double)Half.Epsilon) : scale;
            foreach (int shift in options.Symmetric ? (int[])[0] : [0, -1, 1])
            {
                double middle = options.Symmetric ? (options.Levels + 1) / 2 : Math.Clamp(Math.Round(-low * shrink / scale), 0, options.Levels);
                double zero = Math.Clamp(middle + shift, 0, options.Levels);
                double error = weights.Zip(importance, (w, h) => h * Math.Pow(w - (scale * (Math.Clamp(Math.Round(w / scale) + zero, 0, options.Levels) - zero)), 2)).Sum();
                best = error < best.Error ? (scale, (int)zero, error) : best;
            }
        }

        return (best.Scale, best.Zero);
    }

    /// <summary>W + strength · ((W·C + λW)(H + λI)⁻¹ − W) with C = 2/n · X̃ᵀX, by Gaussian elimination.</summary>
    public static double[] Target(float[] weights, float[] exact, float[] inputs, int columns, double damping, double strength)
    {
        double[,] hessian = Product(inputs, inputs, columns);
        double[,] cross = Product(exact, inputs, columns);
        double mean = Enumerable.Range(0, columns).Average(j => hessian[j, j] == 0 ? 1 : hessian[j, j]);
        for (int j = 0; j < columns; j++)
        {
            // No input excites a dead column, so nothing is known against its weight.
            double alone = hessian[j, j] == 0 ? 1 : 0;
            hessian[j, j] += alone + (damping * mean);
            cross[j, j] += alone + (damping * mean);
        }

        double[] target = new double[weights.Length];
        for (int row = 0; row < weights.Length / columns; row++)
        {
            double[] right = new double[columns];
            for (int j = 0; j < columns; j++)
            {
                right[j] = Enumerable.Range(0, columns).Sum(k => weights[(row * columns) + k] * cross[k, j]);
            }

            // The matrix is symmetric, so it is the one that a row of the answer is multiplied with.
            double[] full = Solve((double[,])hessian.Clone(), right);
            for (int j = 0; j < columns; j++)
            {
                double w = weights[(row * columns) + j];
                target[(row * columns) + j] = w + (strength * (full[j] - w));
            }
        }

        return target;
    }

    /// <summary>Sweeps as the class under test does, with the whole gradient computed afresh for every scale and every code.</summary>
    public static void Descend(float[] target, QuantizationResult result, double[] hessian, double ridge)
    {
        double before = double.PositiveInfinity;
        for (int sweep = 0; sweep < 8; sweep++)
        {
            double now = Objective(target, result, hessian, ridge);
            if (before - now <= 0.01 * before && sweep > 0)
            {
                break;
            }

            before = now;
            for (int row = 0; row < result.Rows; row++)
            {
                for (int group = 0; group < result.Groups; group++)
                {
                    Scale(target, result, hessian, ridge, row, group);
                    Codes(target, result, hessian, ridge, row, group);
                }
            }
        }
    }

    public static double Objective(float[] target, QuantizationResult result, double[] hessian, double ridge)
    {
        double sum = 0;
        for (int row = 0; row < result.Rows; row++)
        {
            for (int j = 0; j < result.Columns; j++)
            {
                sum -= Error(target, result, hessian, row, j) * Gradient(target, result, hessian, ridge, row, j);
            }
        }

        return sum;
    }

    private static void Scale(float[] target, QuantizationResult result, double[] hessian, double ridge, int row, int group)
    {
        int n = result.Columns;
        int[] members = [.. Enumerable.Range(0, n).Where(j => result.GroupOf(j) == group)];
        ref float scale = ref result.Scales[(row * result.Groups) + group];
        int zero = result.Zeros[(row * result.Groups) + group];
        double Offset(int j) => result.Codes[(row * n) + j] - zero;
        double slope = members.Sum(j => Offset(j) * Gradient(target, result, hessian, ridge, row, j));
        double curvature = members.Sum(i => members.Sum(j => Offset(i) * (hessian[(i * n) + j] + (i == j ? ridge : 0)) * Offset(j)));
        if (curvature > 0)
        {
            double wanted = Math.Clamp(scale + (slope / curvature), 0.5 * scale, 1.5 * scale);
            float stored = result.Options.Float16Scales ? (float)(Half)wanted : (float)wanted;
            double step = (double)stored - scale;
            scale = stored > 0 && step * ((2 * slope) - (step * curvature)) > 0 ? stored : scale;
        }
    }

    private static void Codes(float[] target, QuantizationResult result, double[] hessian, double ridge, int row, int group)
    {
        int n = result.Columns;
        double scale = result.Scales[(row * result.Groups) + group];
        int zero = result.Zeros[(row * result.Groups) + group];
        foreach (int j in Enumerable.Range(0, n).Where(j => result.GroupOf(j) == group && hessian[(j * n) + j] != 0))
        {
            double gradient = Gradient(target, result, hessian, ridge, row, j);
            double curvature = hessian[(j * n) + j] + ridge;
            ref byte code = ref result.Codes[(row * n) + j];
            double value = scale * (code - zero);
            double nearest = Math.Clamp(Math.Round((value + (gradient / curvature)) / scale) + zero, 0, result.Options.Levels);
            double move = (scale * (nearest - zero)) - value;
            code = move * ((2 * gradient) - (move * curvature)) > 0 ? (byte)nearest : code;
        }
    }

    private static double Error(float[] target, QuantizationResult result, double[] hessian, int row, int j)
    {
        int at = (row * result.Columns) + j;
        int group = (row * result.Groups) + result.GroupOf(j);
        return ((double)result.Scales[group] * (result.Codes[at] - result.Zeros[group])) - (hessian[(j * result.Columns) + j] == 0 ? 0 : target[at]);
    }

    private static double Gradient(float[] target, QuantizationResult result, double[] hessian, double ridge, int row, int j) =>
        -Enumerable.Range(0, result.Columns).Sum(k => Error(target, result, hessian, row, k) * (hessian[(k * result.Columns) + j] + (k == j ? ridge : 0)));

    private static double[,] Product(float[] left, float[] right, int columns)
    {
        int rows = left.Length / columns;
        double[,] product = new double[columns, columns];
        for (int i = 0; i < columns; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                product[i, j] = 2.0 / rows * Enumerable.Range(0, rows).Sum(t => (double)left[(t * columns) + i] * right[(t * columns) + j]);
            }
        }

        return product;
    }

    private static double[] Solve(double[,] matrix, double[] right)
    {
        int n = right.Length;
        for (int pivot = 0; pivot < n; pivot++)
        {
            for (int row = pivot + 1; row < n; row++)
            {
                double factor = matrix[row, pivot] / matrix[pivot, pivot];
                for (int column = pivot; column < n; column++)
                {
                    matrix[row, column] -= factor * matrix[pivot, column];
                }

                right[row] -= factor * right[pivot];
            }
        }

        for (int row = n - 1; row >= 0; row--)
        {
            right[row] = (right[row] - Enumerable.Range(row + 1, n - row - 1).Sum(column => matrix[row, column] * right[column])) / matrix[row, row];
        }

        return right;
    }
}
