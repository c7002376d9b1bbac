using PureQLora.Core;
using Spectre.Console;

namespace PureQLora.Tools;

/// <summary>Small tables that all tools print alike.</summary>
public static class ConsoleTable
{
    /// <summary>Prints names and values.</summary>
    public static void Show(string title, params ReadOnlySpan<(string Name, string Value)> rows)
    {
        Table table = new Table().Border(TableBorder.Simple).HideHeaders().Title(Markup.Escape(title)).AddColumns("", "");
        foreach ((string name, string value) in rows)
        {
            table.AddRow(Markup.Escape(name), Markup.Escape(value));
        }

        AnsiConsole.Write(table);
    }

    /// <summary>A size in binary units.</summary>
    public static string Bytes(long bytes) => ByteSize.Text(bytes);
}
