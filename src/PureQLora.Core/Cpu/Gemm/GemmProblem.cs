namespace PureQLora.Core;

/// <summary>One product C [m, n] = or += alpha · A · B.</summary>
/// <param name="m">Rows of C.</param>
/// <param name="n">Columns of C.</param>
/// <param name="k">Inner dimension.</param>
/// <param name="a">Lines of A.</param>
/// <param name="aInnerIsLine">A line of a runs along k (a is [m, k]); else along m (a is [k, m]).</param>
/// <param name="b">Lines of B.</param>
/// <param name="bInnerIsLine">A line of b runs along k (b is [n, k]); else along n (b is [k, n]).</param>
/// <param name="alpha">Factor on the product.</param>
/// <param name="accumulate">Add to C.</param>
/// <param name="c">[m, n]</param>
/// <param name="roundToBFloat16">Round the operands first.</param>
internal readonly unsafe struct GemmProblem(
    long m, long n, long k, GemmOperand a, bool aInnerIsLine, GemmOperand b, bool bInnerIsLine, float alpha, bool accumulate, float* c, bool roundToBFloat16)
{
    public readonly long M = m;
    public readonly long N = n;
    public readonly long K = k;
    public readonly GemmOperand A = a;
    public readonly bool AInnerIsLine = aInnerIsLine;
    public readonly GemmOperand B = b;
    public readonly bool BInnerIsLine = bInnerIsLine;
    public readonly float Alpha = alpha;
    public readonly bool Accumulate = accumulate;
    public readonly float* C = c;
    public readonly bool RoundToBFloat16 = roundToBFloat16;
}
