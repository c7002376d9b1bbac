using System.Text;

namespace PureQLora.Training;

/// <summary>Writes a solution step by step; every result is computed here, so text and marks cannot disagree.</summary>
/// <param name="dollars">Whether amounts carry a dollar sign.</param>
internal sealed class WorkedSolution(bool dollars = false)
{
    private readonly StringBuilder _text = new();
    private int _result;

    /// <summary>"lead a + b = &lt;&lt;a+b=c&gt;&gt;c tail."</summary>
    public int Add(string lead, int a, int b, string tail = "") => Step(lead, (Money(a), '+', Money(b)), $"{a}+{b}", a + b, tail, dollars);

    /// <summary>"lead a - b = c tail."</summary>
    public int Subtract(string lead, int a, int b, string tail = "") => Step(lead, (Money(a), '-', Money(b)), $"{a}-{b}", a - b, tail, dollars);

    /// <summary>"lead count * each = c tail."; in dollars only the second factor and the result are money.</summary>
    public int Multiply(string lead, int count, int each, string tail = "") => Step(lead, (count.ToString(Invariant), '*', Money(each)), $"{count}*{each}", count * each, tail, dollars);

    /// <summary>A product that is no money in a solution about dollars.</summary>
    public int MultiplyCount(string lead, int count, int each, string tail) => Step(lead, (count.ToString(Invariant), '*', each.ToString(Invariant)), $"{count}*{each}", count * each, tail, false);

    /// <summary>A sum that is no money in a solution about dollars.</summary>
    public int AddCount(string lead, int a, int b, string tail) => Step(lead, (a.ToString(Invariant), '+', b.ToString(Invariant)), $"{a}+{b}", a + b, tail, false);

    /// <summary>"lead total / parts = c tail."</summary>
    public int Divide(string lead, int total, int parts, string tail = "") => Step(lead, (Money(total), '/', parts.ToString(Invariant)), $"{total}/{parts}", Quotient(total, parts), tail, dollars);

    /// <summary>Money divided by money: how many times the second goes into the first.</summary>
    public int DivideMoney(string lead, int total, int each, string tail) => Step(lead, (Money(total), '/', Money(each)), $"{total}/{each}", Quotient(total, each), tail, false);

    /// <summary>The problem with this solution, whose last result is the answer.</summary>
    public WordProblem Of(ProblemFamily family, string question) => new(family, question, $"{_text}#### {_result}");

    private static System.Globalization.CultureInfo Invariant => System.Globalization.CultureInfo.InvariantCulture;

    private string Money(int amount) => dollars ? $"${amount}" : amount.ToString(Invariant);

    private static int Quotient(int total, int parts) => total % parts == 0 ? total / parts : throw new InvalidOperationException($"{total} / {parts} leaves a remainder.");

    private int Step(string lead, (string Left, char Sign, string Right) shown, string computed, int result, string tail, bool money)
    {
        _text.Append(lead).Append(' ').Append(shown.Left).Append(' ').Append(shown.Sign).Append(' ').Append(shown.Right)
            .Append(" = ").Append(money ? "$" : "").Append("<<").Append(computed).Append('=').Append(result).Append(">>").Append(result)
            .Append(tail.Length > 0 ? " " : "").Append(tail).Append(".\n");
        return _result = result;
    }
}
