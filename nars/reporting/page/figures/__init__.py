"""The report's figures, in Plotly's terms, by what is shown."""
