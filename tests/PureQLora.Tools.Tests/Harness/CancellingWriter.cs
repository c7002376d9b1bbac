namespace PureQLora.Tools.Tests;

/// <summary>Presses Ctrl-C, as it were, at the first line that holds a text.</summary>
internal sealed class CancellingWriter(string at) : StringWriter
{
    public override void WriteLine(string? value)
    {
        base.WriteLine(value);
        if (value is not null && value.Contains(at, StringComparison.Ordinal))
        {
            ToolProgram.Cancel();
        }
    }
}
